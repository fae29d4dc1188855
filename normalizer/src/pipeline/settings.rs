//! [`Settings`]: what the operator decides about the pipeline.

use std::time::Duration;

use aggregate::timeouts;
use cctf_proto::cctf::Stage;
use serde::{Deserialize, Serialize};

/// How the pipeline behaves. They come to it as records of the journal, so that the same journal makes the same files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The normalizer's own run id, for telemetry that names no run.
    pub run_id: String,
    /// How long a row waits for the spans that it depends on (W).
    pub join_window: Duration,
    /// How long copies of a span or point are recognised.
    pub dedup_window: Duration,
    /// How long an instance is silent before it counts as stopped.
    pub stale_after: Duration,
    /// How long a run without an end is silent before it is closed.
    pub run_idle: Duration,
    /// Stage by node, region or service name, where the telemetry tells none.
    pub stages: Vec<(String, Stage)>,
    /// Stage where neither the telemetry nor the table tells one.
    pub default_stage: Option<Stage>,
    /// Names of the metrics kept in system_stats.jsonl, besides in_flight.
    pub kept_metrics: Vec<String>,
    /// Whether the queries of all URLs are kept, besides those of sources that ask for it.
    pub keep_query: bool,
    /// Most runs open at once; rows of any further run are rejected and counted.
    pub open_runs_max: usize,
    /// Bytes that the tables and the queue may take.
    pub memory_limit: u64,
    /// Bytes of lines after which a run goes on in its next part; `None`: never.
    pub roll_bytes: Option<u64>,
    /// Whether run ids that differ in case only would share a folder, as on file systems that ignore case.
    pub runs_ignore_case: bool,
    /// Age of a part after which the run goes on in the next one; `None`: never.
    pub roll_age: Option<Duration>,
}

impl Settings {
    /// The settings as a record of the journal has them.
    pub fn to_json(&self) -> Vec<u8> {
        // Text, numbers and lists of these have no value that JSON can't say.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads what a record has; what it does not tell, as one of an older version, is as by default.
    pub fn of_json(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The metrics kept unless the operator says otherwise: process and container CPU and memory, and our service's queue.
    pub const KEPT_METRICS: &'static [&'static str] = &[
        "process.cpu.time",
        "process.cpu.utilization",
        "process.memory.usage",
        "container.cpu.time",
        "container.cpu.usage",
        "container.memory.usage",
        cctf_proto::keys::METRIC_QUEUE_LENGTH,
        cctf_proto::keys::METRIC_WORKERS,
    ];
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            run_id: "run".to_owned(),
            join_window: timeouts::JOIN_WINDOW,
            dedup_window: Duration::from_secs(120),
            stale_after: timeouts::STALE_AFTER,
            run_idle: Duration::from_secs(60),
            stages: Vec::new(),
            default_stage: None,
            kept_metrics: Self::KEPT_METRICS.iter().map(|&name| name.to_owned()).collect(),
            keep_query: false,
            open_runs_max: 256,
            memory_limit: 256 << 20,
            roll_bytes: None,
            runs_ignore_case: false,
            roll_age: None,
        }
    }
}
