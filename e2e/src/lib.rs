//! Helpers of the end-to-end tests. The programs of the crate `measure` use them, too.
//!
//! - [`binaries`]: paths of the real binaries, and commands that run them.
//! - [`branches`]: a test program whose calls depend on each other in known ways.
//! - [`child`]: a normalizer or a service as a child process.
//! - [`collector`]: the real Collector, which tests kill and restart.
//! - [`exclusive`]: the lock for tests that must not run at the same time as others.
//! - [`host`]: the machine on which tests run: its counters, load for it, and its rows.
//! - [`http`]: one plain HTTP request.
//! - [`jaeger`]: the real Jaeger.
//! - [`otlp`]: OTLP requests made by hand, valid and invalid, and a client for them.
//! - [`ports`]: ports that are free.
//! - [`rows`]: the files of a run.
//! - [`sources`]: the repository's own files, for the tests of the project's rules.
//! - [`tiers`]: a run over links with a known delay and rate, in which one clock is wrong.

pub mod binaries;
pub mod branches;
pub mod child;
pub mod collector;
pub mod exclusive;
pub mod host;
pub mod http;
pub mod jaeger;
pub mod otlp;
pub mod ports;
pub mod rows;
pub mod sources;
pub mod tiers;
