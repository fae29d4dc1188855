//! A third-party application, which a program starts with the standard variables of OpenTelemetry's SDKs.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cctf_load::plan::target::Target;

use super::child::{Child, ChildError, Timeouts};
use super::environment;

const NAME: &str = "application";
/// Timeouts are long, because a runtime may be installed, compiled and warmed up before the start, and jobs may still run at
/// the stop.
const TIMEOUTS: Timeouts = Timeouts {
    start: Duration::from_secs(600),
    stop: Duration::from_secs(300),
};

/// Starts `program` and waits for one line of JSON on its standard output, whose field `listening` is the application's URL.
///
/// The application's telemetry goes to `otlp_endpoint`. SERVICE_URL is the URL of a tunable-svc (the project's own test service)
/// that the application may call. The program must exit on SIGTERM.
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
    environment::remove_exporter(&mut command);
    command.envs([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp_endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("SERVICE_URL", &service.to_string()),
    ]);
    let mut child = Child::start(NAME, command, scratch)?.with_timeouts(TIMEOUTS);
    let announced = child.announcement(stop)?;
    let listening = child.announced_url(&announced, "listening")?;
    Ok((child, listening))
}
