//! `gather` on recorded runs: its figures agree with `stats`, and a sentence states what is missing.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod bad_input;
mod cpu;
mod run;
mod small;
mod windows;
