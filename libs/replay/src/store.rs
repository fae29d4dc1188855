//! [`store`]: stores the values that a replay reads, before the replay starts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cctf_load::http::request::ExtraHeader;
use cctf_load::plan::payload::SIZE_BYTES_MAX;
use cctf_load::plan::target::Target;
use cctf_load::store::store_value;

use crate::bodies::Bodies;
use crate::keys::Key;
use crate::targets::Targets;

/// The error for a value that a service did not store.
#[derive(Debug, thiserror::Error)]
#[error("cannot store the value that {path} of {target} has to return: {error}")]
pub struct StoreError {
    path: String,
    target: Target,
    error: String,
}

/// Stores the values.
///
/// # Errors
/// If a service does not answer, or refuses a value; or if `stop` is set while values are stored.
pub fn store(
    keys: &[Key],
    targets: &Targets,
    bodies: &mut Bodies,
    headers: &[ExtraHeader],
    timeout: Duration,
    stop: &AtomicBool,
) -> Result<(), StoreError> {
    for key in keys {
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
        store_value(target, &key.path, headers, &value, timeout).map_err(failed)?;
    }
    Ok(())
}
