//! Tests of the reader of run folders through its public API.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod parts;
mod validate;
