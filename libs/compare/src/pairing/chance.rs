//! [`outcome_of`]: the result of a call; [`status`]: its text. [`is_chance`]: whether a result depends on the load of the
//! moment, so that the same request may have it in one run and not in the other.

use crate::gather::{Names, Outcome, Side};

/// Statuses of an overloaded or late receiver. HTTP: too many requests, unavailable, gateway timeout. gRPC: deadline exceeded,
/// resource exhausted, unavailable.
const STATUSES: [i32; 6] = [429, 503, 504, 4, 8, 14];

/// Whether the result was caused by a full queue, a timeout or a broken connection.
pub fn is_chance(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Status(status) => STATUSES.contains(&status),
        Outcome::NoAnswer(_) => true,
        Outcome::Text(_) | Outcome::Silent => false,
    }
}

/// The result of a call as its sender reported it, or else as the invocation did.
pub fn outcome_of(side: &Side, call: u32) -> Outcome {
    match side.rows.calls[call as usize].outcome {
        Outcome::Silent => side.tree.callee(call).map_or(Outcome::Silent, |callee| {
            side.rows.invocations[callee as usize].outcome
        }),
        outcome => outcome,
    }
}

/// The status or error of an outcome.
pub fn status(outcome: Outcome, names: &Names) -> Option<String> {
    match outcome {
        Outcome::Silent => None,
        Outcome::Status(status) => Some(status.to_string()),
        Outcome::Text(text) | Outcome::NoAnswer(text) => Some(names.text(text).to_owned()),
    }
}
