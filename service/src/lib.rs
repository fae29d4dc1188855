//! The workload service: real work over HTTP, measured as an honest queueing station.
//!
//! A request's way: `intake` reads it on an I/O thread and stamps its arrival, `station` holds it in a bounded
//! queue until a slot takes it up, one of the `endpoints` does the work, `forward` calls the next hop, and
//! `intake` writes the answer. `telemetry` tells what happened. `server` starts and ends all of it, `service`
//! is what the threads share, `settings` is read once, `admin` is outside the recorded workload. Where nobody else
//! takes the telemetry, `embedded` starts a normalizer; `privileges` gives up root.

// These macros panic where nobody reads any more, or where a disk is full: `stdio` of the contract crate does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod admin;
pub mod clock;
pub mod context;
pub mod embedded;
pub mod endpoints;
pub mod files;
pub mod forward;
pub mod headers;
pub mod healthcheck;
pub mod intake;
pub mod kv;
pub mod meter;
pub mod privileges;
pub mod request;
pub mod server;
pub mod service;
pub mod settings;
pub mod station;
pub mod stats;
pub mod telemetry;
