//! [`store`]: sets the values that a replay reads, before it starts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cctf_load::http::request::{ExtraHeader, host_value};
use cctf_load::plan::payload::SIZE_BYTES_MAX;
use cctf_load::plan::random;
use cctf_load::plan::target::Target;

use crate::bodies::Bodies;
use crate::keys::Key;
use crate::targets::Targets;

/// A value that a service did not store.
#[derive(Debug, thiserror::Error)]
#[error("cannot store the value that {path} of {target} has to return: {error}")]
pub struct StoreError {
    path: String,
    target: Target,
    error: String,
}

/// Stores the values. The requests' traces are not sampled, so no run has rows for them.
///
/// # Errors
/// If a service does not answer, or refuses a value; or if `stop` is set meanwhile.
pub fn store(
    keys: &[Key],
    targets: &Targets,
    bodies: &mut Bodies,
    headers: &[ExtraHeader],
    timeout: Duration,
    seed: u64,
    stop: &AtomicBool,
) -> Result<(), StoreError> {
    for (key, number) in keys.iter().zip(0..) {
        let Some(target) = targets.all().get(key.target) else {
            continue;
        };
        let failed = |error: String| StoreError {
            path: key.path.clone(),
            target: target.clone(),
            error,
        };
        if stop.load(Ordering::Relaxed) {
            return Err(failed("interrupted".to_owned()));
        }
        let size = usize::try_from(key.bytes)
            .unwrap_or(usize::MAX)
            .min(SIZE_BYTES_MAX);
        let value = bodies.text(size);
        // Any id that is not zero: nothing refers to this trace.
        let (high, low) = (
            random::at(seed, 2 * number) | 1,
            random::at(seed, 2 * number + 1) | 1,
        );
        let request = http_once::Request {
            method: "POST",
            path: &key.path,
            headers: &[
                ("host", &host_value(target, headers)),
                ("content-type", "application/octet-stream"),
                ("traceparent", &format!("00-{high:016x}{low:016x}-{low:016x}-00")),
            ],
            body: &value,
        };
        let answer = http_once::send(&target.host, target.port, &request, timeout)
            .map_err(|error| failed(error.to_string()))?;
        if !(200..300).contains(&answer.status) {
            return Err(failed(format!("it answered with status {}", answer.status)));
        }
    }
    Ok(())
}
