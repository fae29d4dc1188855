//! [`Edge`]: all calls of one module to another, as one edge of the call graph.

use crate::stats::cells::Key;
use crate::stats::figures::{Bytes, QUANTILES};

/// Calls of one module to another, or to a peer without telemetry.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    /// `None` for callers that are not in the files.
    pub from: Option<Key>,
    pub to: EdgeEnd,
    pub calls: u64,
    pub errors: u64,
    /// Number of calls with a known duration.
    pub timed: u64,
    /// Sum of the known durations. If the caller is not in the files, these are the response times of the invocations.
    pub sum_ns: u128,
    /// Quantiles of the durations, in the order of [`QUANTILES`], nanoseconds.
    pub quantiles_ns: [Option<u64>; QUANTILES.len()],
    /// Bytes of bodies from the caller to the callee, and in the other direction.
    pub bytes_out: Bytes,
    pub bytes_in: Bytes,
}

impl Edge {
    /// Mean of the known durations.
    pub fn mean_ns(&self) -> Option<f64> {
        (self.timed > 0).then(|| self.sum_ns as f64 / self.timed as f64)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeEnd {
    Module(Key),
    /// A peer that sends no telemetry.
    External(String),
    /// All calls beyond the maximum number of edges. The caller of this edge is `None`.
    Other,
}
