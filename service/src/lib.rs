//! The workload service: real work over HTTP, measured as a queueing station.
//!
//! A request's path: `intake` reads it on an I/O thread and records its arrival time. `station` keeps it in a bounded
//! queue until a slot takes it. One of the `endpoints` does the work, `forward` calls the next hop, and `intake` writes
//! the answer. `telemetry` exports spans and metrics.
//!
//! `server` starts and stops everything, `service` is the state shared by all threads, and `settings` is read once.
//! With --stand-in, `stand_in` takes the place of `endpoints` and `forward`: requests contain their work.
//! `admin` is not part of the recorded workload. `embedded` starts a normalizer if no OTLP receiver is configured;
//! `privileges` drops root.

// These macros panic if a pipe is closed or a disk is full; `stdio` of the crate `cctf-proto` does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod admin;
pub mod burn;
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
pub mod stand_in;
pub mod station;
pub mod stats;
pub mod telemetry;
