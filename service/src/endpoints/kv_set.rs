//! POST /kv/set/{key}: stores the body under a key.

use serde_json::json;

use super::Tools;
use crate::kv::StoreError;
use crate::request::{Answer, JSON, OCTETS, Outcome, Request};

/// 200 with the stored size, 400 for an invalid key, 507 if the store is full. The next hop gets the body.
pub fn run(request: &Request, tools: &Tools<'_>) -> Outcome {
    match tools
        .store
        .set(&request.key, &request.body, &tools.trace.parent())
    {
        Ok(()) => {
            let report = json!({ "key": &*request.key, "bytes": request.body.len() });
            Outcome::forwarding(
                Answer::new(200, JSON, report.to_string()),
                request.body.clone(),
                OCTETS,
            )
        }
        Err(error) => Outcome::failed(failure(&error)),
    }
}

/// The answer to a failure of the store.
pub fn failure(error: &StoreError) -> Answer {
    let status = match error {
        StoreError::KeyTooLong => 400,
        StoreError::Full => 507,
        StoreError::Sqlite { .. } => 500,
    };
    Answer::error(status, &error.to_string())
}
