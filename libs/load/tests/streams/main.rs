//! Streams of prepared requests, which are sent to servers in the test.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod bounds;
mod rig;
mod targets;
