//! The destination of spans, from flags and `OTEL_*` variables.

use cctf_proto::log_line;
use otlp_send::{Destination, Flags, SettingsError, Signal, Variables};

use super::UsageError;
use super::cells::printable;

/// The destination of spans; `None` if neither flags nor variables set one.
///
/// # Errors
/// Invalid settings.
pub fn destination(endpoint: Option<&str>, flags: &Flags) -> Result<Option<Destination>, UsageError> {
    resolved(|variables| Destination::resolve(Signal::Traces, None, endpoint, flags, variables))
}

/// The destination of spans. The default is a receiver on this machine.
///
/// # Errors
/// Invalid settings.
pub fn destination_or_local(endpoint: Option<&str>, flags: &Flags) -> Result<Destination, UsageError> {
    resolved(|variables| Destination::resolve_or_local(Signal::Traces, endpoint, flags, variables))
}

fn resolved<T>(resolve: impl FnOnce(&mut Variables) -> Result<T, SettingsError>) -> Result<T, UsageError> {
    let mut variables = Variables::from_process();
    let resolved = resolve(&mut variables).map_err(|error| UsageError(error.to_string()));
    for warning in variables.take_warnings() {
        log_line!("cctf: warning: {}", printable(&warning.to_string()));
    }
    resolved
}
