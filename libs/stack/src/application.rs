//! An application of somebody else's between driver and service: a program that starts it, by variables that any OpenTelemetry SDK reads.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::children::{Child, ChildError, Patience};
use super::stack::{address, forget_exporter};
use cctf_load::target::Target;

const NAME: &str = "application";
/// Runtimes that are installed, compiled and warmed up take their time, and so do jobs that are brought to their end.
const PATIENCE: Patience = Patience {
    start: Duration::from_secs(600),
    stop: Duration::from_secs(300),
};

/// Starts `program` and waits until it has told, in one line of JSON on its standard output, where it is `listening`. Its telemetry
/// goes to `otlp_endpoint`; SERVICE_URL is our service, should it want to call one. It has to end on SIGTERM.
pub fn start(
    program: &Path,
    service: &Target,
    otlp_endpoint: &str,
    scratch: &Path,
    stop: &AtomicBool,
) -> Result<(Child, Target), ChildError> {
    let absolute = std::path::absolute(program).map_err(|source| ChildError::Start {
        name: program.display().to_string(),
        source,
    })?;
    let mut command = Command::new(absolute);
    forget_exporter(&mut command);
    command.envs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp_endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("SERVICE_URL", &service.to_string()),
    ]);
    let mut child = Child::start(NAME, command, scratch)?.with_patience(PATIENCE);
    let announced = child.announcement(stop)?;
    let listening = address(&child, &announced, "listening")?;
    Ok((child, listening))
}
