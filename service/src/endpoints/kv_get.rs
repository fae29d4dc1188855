//! GET /kv/get/{key}: reads a value.

use super::{Tools, kv_set};
use crate::request::{Answer, OCTETS, Outcome, Request};

/// 200 with the bytes, or 404.
pub fn run(request: &Request, tools: &Tools<'_>) -> Outcome {
    match tools.store.get(&request.key, &tools.trace.parent()) {
        Ok(Some(value)) => Outcome::same_for_both(Answer::new(200, OCTETS, value)),
        Ok(None) => Outcome::failed(Answer::error(404, "no such key; set it with POST /kv/set/{key}")),
        Err(error) => Outcome::failed(kv_set::failure(&error)),
    }
}
