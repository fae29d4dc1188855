//! [`Settings`] of the pipeline, which the operator chooses.

use std::time::Duration;

use aggregate::timeouts;
use cctf_proto::cctf::Stage;
use serde::{Deserialize, Serialize};

/// Settings of the pipeline. They are records of the journal, so that the same journal gives the same files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Id of the normalizer's own run, for telemetry that names no run.
    pub run_id: String,
    /// Maximum time for which a row waits for the spans that it depends on (the join window).
    pub join_window: Duration,
    /// Time for which duplicates of a span or point are recognised.
    pub dedup_window: Duration,
    /// Time of silence after which an instance counts as stopped.
    pub stale_after: Duration,
    /// Time of silence after which a run without an end is closed.
    pub run_idle: Duration,
    /// Stages by node, region or service name, for telemetry that states none.
    pub stages: Vec<(String, Stage)>,
    /// Stage for telemetry that states none and is not in the table.
    pub default_stage: Option<Stage>,
    /// Metrics that are written to system_stats.jsonl, in addition to in_flight.
    pub kept_metrics: Vec<String>,
    /// Whether the queries of all URLs are kept. Otherwise only those of sources that ask for it.
    pub keep_query: bool,
    /// Maximum number of open runs. Rows of a further run are rejected and counted.
    pub open_runs_max: usize,
    /// Maximum size of tables and queue, bytes.
    pub memory_limit: u64,
    /// Size of a part, in bytes of lines, above which the run continues in the next part; `None` means never.
    pub roll_bytes: Option<u64>,
    /// Whether run ids that differ only in case share a folder, because the file system ignores case.
    pub runs_ignore_case: bool,
    /// Age of a part above which the run continues in the next part; `None` means never.
    pub roll_age: Option<Duration>,
    /// Whether runs stay open until the shutdown, because rows come in any order. A journal never has such settings.
    #[serde(skip)]
    pub keeps_runs_open: bool,
}

impl Settings {
    /// The settings as JSON, for a record of the journal.
    pub fn to_json(&self) -> Vec<u8> {
        // Serializing texts, numbers and lists of them cannot fail.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads the settings from a record. Missing fields get their default; an older version may have written fewer fields.
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
            keeps_runs_open: false,
        }
    }
}
