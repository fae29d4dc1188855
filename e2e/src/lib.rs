//! Helpers of the end-to-end tests, which the measuring programs use, too.
//!
//! - [`binaries`]: where the real binaries are, and commands for them.
//! - [`branches`]: a test program whose calls depend on each other in known ways.
//! - [`child`]: a normalizer or a service as a child process.
//! - [`collector`]: the real Collector, which tests kill and restart.
//! - [`exclusive`]: the lock of tests that need the machine to themselves.
//! - [`host`]: the machine: its counters, load for it, and its rows.
//! - [`http`]: one plain HTTP request.
//! - [`otlp`]: handmade OTLP requests, valid and invalid, and how they are sent.
//! - [`ports`]: ports that are free.
//! - [`rows`]: the files of a run.
//! - [`sources`]: the repository's own files, for the tests of its rules.
//! - [`tiers`]: a run over links of known delay and rate, with one wrong clock.

pub mod binaries;
pub mod branches;
pub mod child;
pub mod collector;
pub mod exclusive;
pub mod host;
pub mod http;
pub mod otlp;
pub mod ports;
pub mod rows;
pub mod sources;
pub mod tiers;
