//! Helpers of the end-to-end tests, which the measuring programs use, too.
//!
//! - [`binaries`]: where the real binaries are, and commands for them.
//! - [`child`]: a normalizer or a service as a child process.
//! - [`collector`]: the real Collector, to be killed and started again.
//! - [`host`]: the machine: its counters, work for it, and the rows that tell of it.
//! - [`http`]: one plain HTTP request, waited for.
//! - [`otlp`]: OTLP requests by hand, the wrong ones included, and how they are sent.
//! - [`rows`]: the files that a run leaves.
//! - [`sources`]: the repository's own files, for the tests of its rules.
//! - [`tiers`]: a run over links of known delay and rate, one clock wrong.

pub mod binaries;
pub mod child;
pub mod collector;
pub mod host;
pub mod http;
pub mod otlp;
pub mod rows;
pub mod sources;
pub mod tiers;
