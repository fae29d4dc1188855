//! The real Collector in front of the normalizer: complete runs, kills, failures, and its reaction to answers.
//!
//! Needs the binary of `make collector`, which `make test` builds.

mod answers;
mod client;
mod faults;
mod hosts;
mod processes;
mod runs;
mod scale;
