//! [`Settings`] of the pipeline, which the operator chooses.

use std::time::Duration;

use aggregate::timeouts;
use cctf_proto::cctf::Stage;
use serde::{Deserialize, Serialize};

/// Settings of the pipeline. They reach it as records of the journal, so that the same journal leads to the same files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Id of the normalizer's own run, for telemetry that names no run.
    pub run_id: String,
    /// How long a row waits for the spans that it depends on (W).
    pub join_window: Duration,
    /// How long duplicates of a span or point are recognised.
    pub dedup_window: Duration,
    /// How long an instance is silent before it counts as stopped.
    pub stale_after: Duration,
    /// How long a run without an end is silent before it is closed.
    pub run_idle: Duration,
    /// Stage by node, region or service name, where the telemetry states none.
    pub stages: Vec<(String, Stage)>,
    /// Stage where neither the telemetry nor the table states one.
    pub default_stage: Option<Stage>,
    /// Metrics written to system_stats.jsonl, besides in_flight.
    pub kept_metrics: Vec<String>,
    /// Whether the queries of all URLs are kept, not only those of sources that ask for it.
    pub keep_query: bool,
    /// Maximum number of open runs. Rows of a further run are rejected and counted.
    pub open_runs_max: usize,
    /// Maximum size of tables and queue, bytes.
    pub memory_limit: u64,
    /// Size of a part, in bytes of lines, after which a run goes on in its next part; `None`: never.
    pub roll_bytes: Option<u64>,
    /// Whether run ids that differ only in case would share a folder, as on file systems that ignore case.
    pub runs_ignore_case: bool,
    /// Age of a part after which the run goes on in the next one; `None`: never.
    pub roll_age: Option<Duration>,
}

impl Settings {
    /// The settings as a record of the journal stores them.
    pub fn to_json(&self) -> Vec<u8> {
        // Texts, numbers and lists of them always have a form in JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the settings of a record. Fields that it lacks, for example because its version is older, have their default.
    pub fn from_json(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Default of `kept_metrics`: CPU and memory of processes and containers, and the queue of our service.
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
