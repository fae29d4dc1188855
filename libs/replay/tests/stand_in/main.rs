//! Tests of a replay to stand-ins: nested work, checks before the first request is sent, and the requests.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod made;
mod nested;
mod paths;
mod requests;
#[allow(dead_code, reason = "also the rows of the plan's own tests")]
#[path = "../../../plan/tests/plan/rows.rs"]
mod rows;
mod speeds;
