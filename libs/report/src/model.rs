//! [`RunData`]: everything that a report shows of one run, gathered before anything is drawn.

use analyze::stats::Stats;
use analyze::stats::cells::Key;
use analyze::stats::figures::{Bytes, Time};
use analyze::trace::Trace;
use cctf_proto::cctf::PlacementKind;
use cctf_proto::validate::Finding;

/// One run.
#[derive(Debug)]
pub struct RunData {
    /// Figures by module, endpoint, node and link, and the lint.
    pub stats: Stats,
    /// `None` if `run_meta.json` is missing or invalid.
    pub meta: Option<Meta>,
    pub validation: Validation,
    pub timeline: Timeline,
    /// Calls between modules, those with the most time first.
    pub edges: Vec<Edge>,
    pub hosts: Vec<Host>,
    pub events: Vec<Event>,
    /// The slowest, the median and the failed traces.
    pub traces: Vec<PickedTrace>,
    /// What is missing or left out, as sentences for the reader.
    pub notes: Vec<String>,
}

/// From `run_meta.json`.
#[derive(Debug, Clone, Default)]
pub struct Meta {
    /// Nanoseconds since the Unix epoch.
    pub started_ns: i64,
    pub ended_ns: Option<i64>,
    /// Name and value of each other field and count that is not null, as shown.
    pub facts: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct Validation {
    pub errors: u64,
    pub warnings: u64,
    /// The first ones.
    pub findings: Vec<Finding>,
    /// Why the run was not checked as a whole.
    pub unchecked: Option<String>,
}

/// Figures in equal intervals of time. An invocation counts where its `ts_start` is, as in the windows of `cctf stats`.
#[derive(Debug, Default)]
pub struct Timeline {
    /// First `ts_start`, nanoseconds since the Unix epoch.
    pub begin_ns: i64,
    /// Width of a bucket: 1, 2 or 5 times a power of ten seconds. At most [`BUCKETS_MAX`] cover the run.
    pub bucket_ns: u64,
    /// The whole run.
    pub run: Series,
    /// Modules, those with the most response time first.
    pub modules: Vec<(Key, Series)>,
}

/// Maximum number of buckets.
pub const BUCKETS_MAX: usize = 120;

/// A bucket for each interval.
#[derive(Debug, Default)]
pub struct Series {
    pub buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, Default)]
pub struct Bucket {
    pub calls: u64,
    pub errors: u64,
    /// In the order of [`Time::ALL`].
    pub times: [BucketTime; Time::ALL.len()],
    /// Mean of the sampled requests in the system, over the interval.
    pub in_flight: Option<f64>,
    /// Share of the slots that were busy.
    pub utilisation: Option<f64>,
}

/// The known values of one time in a bucket.
#[derive(Debug, Clone, Default)]
pub struct BucketTime {
    pub count: u64,
    pub sum_ns: u128,
    /// Number of values by bin, in the order of the bins: the boundaries are [`BIN_RATIO`] apart, and a quantile is within 5%.
    pub bins: Vec<(u16, u32)>,
}

/// Ratio of the highest to the lowest value of a bin: its middle (2ab/(a+b)) is within 5% of each value.
pub const BIN_RATIO: f64 = 1.05 / 0.95;

/// The bin of a value. Bin 0 has the zeros, and bin 1 begins at 1 ns.
pub fn bin_of(ns: u64) -> u16 {
    match ns {
        0 => 0,
        // At most 444 for 64 bits.
        ns => ((ns as f64).ln() / BIN_RATIO.ln()) as u16 + 1,
    }
}

/// Lowest and highest value of a bin, nanoseconds.
pub fn bin_ends_ns(bin: u16) -> (f64, f64) {
    match bin {
        0 => (0.0, 0.0),
        bin => (BIN_RATIO.powi(i32::from(bin) - 1), BIN_RATIO.powi(i32::from(bin))),
    }
}

/// The value that stands for all of a bin, nanoseconds.
pub fn bin_middle_ns(bin: u16) -> f64 {
    let (low, high) = bin_ends_ns(bin);
    match bin {
        0 => 0.0,
        _ => 2.0 * low * high / (low + high),
    }
}

/// Calls of one module to another, or to a peer without telemetry.
#[derive(Debug, Clone)]
pub struct Edge {
    /// `None` for callers that are not in the files, such as the load driver.
    pub from: Option<Key>,
    pub to: EdgeEnd,
    pub calls: u64,
    pub errors: u64,
    pub sum_ns: u128,
    /// Quantiles of the calls' durations in the order of `analyze::stats::figures::QUANTILES`, nanoseconds.
    pub quantiles_ns: [Option<u64>; 3],
    pub bytes_out: Bytes,
    pub bytes_in: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EdgeEnd {
    Module(Key),
    /// A peer that sends no telemetry.
    External(String),
}

/// Samples of a node, means by bucket of the timeline.
#[derive(Debug, Clone)]
pub struct Host {
    pub node: String,
    pub stage: String,
    /// Percent of all CPUs.
    pub cpu_util: Vec<Option<f64>>,
    pub mem_used_mb: Vec<Option<f64>>,
    pub mem_free_mb: Vec<Option<f64>>,
}

/// A row of `placement_events.jsonl`.
#[derive(Debug, Clone)]
pub struct Event {
    /// Nanoseconds since the Unix epoch.
    pub ts_ns: i64,
    pub event: PlacementKind,
    pub module_id: String,
    pub instance_id: Option<String>,
    pub node_id: String,
    pub from_node_id: Option<String>,
    pub replicas: Option<u64>,
    pub reason: Option<String>,
    pub inferred: bool,
}

/// Why a trace was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pick {
    Slowest,
    Median,
    Failed,
}

#[derive(Debug)]
pub struct PickedTrace {
    pub pick: Pick,
    pub trace: Trace,
    /// Rows beyond the maximum, which are not in `trace`.
    pub rows_left_out: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_bin_is_within_5_percent_of_its_values() {
        assert_eq!((bin_of(0), bin_middle_ns(0)), (0, 0.0));
        let values = (0..64).flat_map(|bits| [1_u64 << bits, (1_u64 << bits) / 3 + 1, u64::MAX >> bits]);
        for value in values {
            let middle = bin_middle_ns(bin_of(value));
            assert!(
                (middle / value as f64 - 1.0).abs() < 0.050_001,
                "{value} {middle}"
            );
        }
    }
}
