//! The real Collector in front of the normalizer, by the one configuration: whole runs, kills, outages, and what answers make it do.
//!
//! Needs what `make collector` builds; `make test` does.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod answers;
mod client;
mod faults;
mod hosts;
mod processes;
mod runs;
mod scale;
