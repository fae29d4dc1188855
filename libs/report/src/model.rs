//! [`RunData`]: the data of one run that a report shows. It is complete before the page is drawn.

use std::collections::BTreeMap;

pub use analyze::coarse::{BIN_RATIO, bin_of, middle as bin_middle_ns};
pub use analyze::edges::edge::{Edge, EdgeEnd};
use analyze::stats::Stats;
use analyze::stats::cells::Key;
pub use analyze::survey::PickedTrace;
pub use analyze::survey::picks::Pick;
pub use analyze::timeline::series::{BUCKETS_MAX, Bucket, BucketTime, Series, Timeline};
use cctf_proto::cctf::PlacementKind;
use cctf_proto::validate::Finding;

/// One run.
#[derive(Debug)]
pub struct RunData {
    /// Figures by module, endpoint, node and link, and the results of the lint (checks of the figures against queueing laws).
    pub stats: Stats,
    /// `None` if `run_meta.json` is missing or invalid.
    pub meta: Option<Meta>,
    pub validation: Validation,
    pub timeline: Timeline,
    /// Calls between modules. The edge with the most time comes first.
    pub edges: Vec<Edge>,
    pub hosts: Vec<Host>,
    pub events: Vec<Event>,
    /// The slowest, the median and the failed traces.
    pub traces: Vec<PickedTrace>,
    /// Estimates by endpoint, for modules whose rows report no CPU time.
    pub cpu_estimates: BTreeMap<Key, CpuEstimate>,
    /// Sentences about data that is missing or left out, including the notes of `stats`.
    pub notes: Vec<String>,
}

/// A regression's estimate of the CPU time that a request takes in its process, with its 95% interval, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuEstimate {
    pub mean_ns: f64,
    pub low_ns: f64,
    pub high_ns: f64,
}

/// Facts from `run_meta.json`.
#[derive(Debug, Clone, Default)]
pub struct Meta {
    /// Nanoseconds since the Unix epoch.
    pub started_ns: i64,
    pub ended_ns: Option<i64>,
    /// Name and value, as text, of each further field that is not null, and of each count that is not zero.
    pub facts: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct Validation {
    pub errors: u64,
    pub warnings: u64,
    /// The first findings.
    pub findings: Vec<Finding>,
    /// The reason why the run was not checked completely.
    pub unchecked: Option<String>,
}

/// Samples of a node as means in the buckets of the timeline.
#[derive(Debug, Clone)]
pub struct Host {
    pub node: String,
    pub stage: String,
    /// CPU utilisation, percent of all CPUs.
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
    pub app_id: Option<String>,
    pub module_id: String,
    pub instance_id: Option<String>,
    pub node_id: String,
    pub from_node_id: Option<String>,
    pub replicas: Option<u64>,
    pub reason: Option<String>,
    pub inferred: bool,
}
