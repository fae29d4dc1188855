//! The real Collector in front of the normalizer, by the one configuration: whole runs, kills, outages, and what answers make it do.
//!
//! Needs what `make collector` builds; `make test` does.

mod answers;
mod client;
mod faults;
mod hosts;
mod processes;
mod runs;
mod scale;
