//! [`Settings`]: what the operator decides about the pipeline.

use std::time::Duration;

use cctf_proto::cctf::Stage;
use serde::{Deserialize, Serialize};

/// How the pipeline behaves; in force from the first record on.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// Most runs open at once; rows of any further run are rejected and counted.
    pub open_runs_max: usize,
    /// Bytes of lines after which a run goes on in its next part; `None`: never.
    pub roll_bytes: Option<u64>,
    /// Age of a part after which the run goes on in the next one; `None`: never.
    pub roll_age: Option<Duration>,
}

impl Settings {
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
            join_window: Duration::from_secs(15),
            dedup_window: Duration::from_secs(120),
            stale_after: Duration::from_secs(180),
            run_idle: Duration::from_secs(60),
            stages: Vec::new(),
            default_stage: None,
            kept_metrics: Self::KEPT_METRICS.iter().map(|&name| name.to_owned()).collect(),
            open_runs_max: 256,
            roll_bytes: None,
            roll_age: None,
        }
    }
}
