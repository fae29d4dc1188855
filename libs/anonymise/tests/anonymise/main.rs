//! Tests with run folders: no name stays, damaged rows are left out, and every part of a run is anonymised.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod folders;
mod hostile;
mod support;
