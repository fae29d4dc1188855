//! The environment of child processes: the variables that they do not inherit.

use std::process::Command;

/// Variables that would override the children's flags, or would give several children the same identity.
const NOT_INHERITED: [&str; 13] = [
    "RUN_ID",
    "INSTANCE_ID",
    "LOG_PATH",
    "NORMALIZER",
    "LISTEN",
    "PORT",
    "ADMIN_LISTEN",
    "DEFAULT_NEXT_URL",
    "NEXT_URL_ALLOW",
    "STAND_IN",
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_METRICS_EXPORTER",
];
/// Prefix of the variables that would send telemetry to another receiver than the run's, or in another way.
const EXPORTER_PREFIX: &str = "OTEL_EXPORTER_OTLP_";

/// Removes all variables that would change how one of this project's programs works.
pub fn remove_own(command: &mut Command) {
    for variable in NOT_INHERITED {
        command.env_remove(variable);
    }
    remove_exporter(command);
}

/// Removes the variables that name the receiver of the caller's own telemetry, its headers and its certificates.
pub fn remove_exporter(command: &mut Command) {
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with(EXPORTER_PREFIX) {
            command.env_remove(variable);
        }
    }
}
