//! [`store_value`]: sets a value of the key-value store before requests read it.

use std::time::Duration;

use crate::http::request::{ExtraHeader, host_value};
use crate::plan::target::Target;

/// Sends the value by POST. The request's trace is not sampled, so no run has a row for it.
///
/// # Errors
/// If the service does not answer, or refuses the value.
pub fn store_value(
    target: &Target,
    path: &str,
    headers: &[ExtraHeader],
    value: &[u8],
    timeout: Duration,
) -> Result<(), String> {
    // Any ids that are not zero: nothing refers to this trace.
    let (trace_id, span_id) = (rand::random::<u128>() | 1, rand::random::<u64>() | 1);
    let request = http_once::Request {
        method: "POST",
        path,
        headers: &[
            ("host", &host_value(target, headers)),
            ("content-type", "application/octet-stream"),
            ("traceparent", &format!("00-{trace_id:032x}-{span_id:016x}-00")),
        ],
        body: value,
    };
    let answer =
        http_once::send(&target.host, target.port, &request, timeout).map_err(|error| error.to_string())?;
    match answer.status {
        200..=299 => Ok(()),
        status => Err(format!("the service answered with status {status}")),
    }
}
