//! The pipeline: a synchronous state machine that takes journal records and produces rows. It does no I/O and never reads the system's
//! clock: its time is the arrival time of the latest record.
//!
//! ```text
//! record ─▶ spans ──▶ requests ───┐
//!        ─▶ control ─▶ placement ─┼─▶ output
//!        ─▶ points ─▶ metrics ────┤
//!        ─▶ time ─▶ housekeeping ─┘
//! ```
//!
//! The stages are [`requests`], [`metrics`] and [`placement`]. Each changes only its own state and [`shared`], and returns the
//! facts that other stages need. The pipeline passes these facts on. The stages do not import each other.

mod control;
mod counters;
mod housekeeping;
mod live;
mod metrics;
mod output;
mod placement;
mod requests;
mod shared;
mod snapshots;
mod traces;

use cctf_proto::otlp::WireError;
use cctf_proto::otlp::logs::LogsRequest;
use cctf_proto::otlp::metrics::MetricsRequest;
use serde::{Deserialize, Serialize};

use self::metrics::Metrics;
use self::placement::Placement;
use self::requests::{Requests, Templates};
use self::shared::Shared;
use crate::journal::{Content, Record, Signal};

pub use self::counters::PipelineCounters;
pub use self::live::{Figure, LiveFigures, RunFigure, Sums};
pub use self::output::{Output, RunOutput};
pub use self::shared::memory::queue_share;
pub use self::shared::settings::Settings;

/// Version of the serialized state, which is the whole [`Pipeline`]. A state of another version cannot be read.
pub const STATE_VERSION: u32 = 10;

/// Interval of housekeeping, the periodic work, in journal time (the arrival times of the records). Some work is done after each
/// record instead: writing rows whose join window has passed, evicting rows above the memory limit, and closing folders that are
/// large or old enough.
const HOUSEKEEPING_NS: u64 = 50_000_000;

/// The state machine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Pipeline {
    shared: Shared,
    requests: Requests,
    metrics: Metrics,
    placement: Placement,
    /// A cache. After a restart it is empty.
    #[serde(skip)]
    templates: Templates,
    /// Journal time of the next housekeeping.
    housekeeping_at: u64,
    /// Journal time at which the memory of the inventories is computed next.
    inventories_at: u64,
}

impl Pipeline {
    pub fn new(settings: Settings) -> Self {
        let shared = Shared::new(settings);
        Self {
            requests: Requests::new(&shared),
            metrics: Metrics::default(),
            placement: Placement::default(),
            templates: Templates::default(),
            housekeeping_at: 0,
            inventories_at: 0,
            shared,
        }
    }

    /// Processes a record, and adds the resulting rows and snapshots to `output`.
    pub fn feed(&mut self, record: &Record, output: &mut Output) {
        let is_restart = record.content == Content::Restart;
        self.shared.clock.advance(record.received_unix_ns, is_restart);
        match &record.content {
            Content::Request { signal, body } => {
                // The receiver refuses requests that do not parse, so this counts only internal errors.
                if self.take_request(*signal, body, output).is_err() {
                    self.shared.totals.reject("malformed", 1);
                }
            }
            Content::Tick => {}
            Content::Restart => self.shared.runs.resume(),
            Content::Settings { body } => match Settings::from_json(body) {
                Some(settings) => self.apply_settings(settings),
                None => self.shared.totals.reject("unreadable_settings", 1),
            },
            Content::Shutdown => return self.shut_down(output),
        }
        let now = self.shared.clock.now;
        self.requests.expire_rows(now, &mut self.shared, output);
        self.requests.evict_over_limit(&mut self.shared, output);
        self.announce_opened(output);
        if now >= self.housekeeping_at {
            self.housekeeping_at = now + HOUSEKEEPING_NS;
            self.run_housekeeping(output);
        }
        self.roll_runs(output);
    }

    fn take_request(&mut self, signal: Signal, body: &[u8], output: &mut Output) -> Result<(), WireError> {
        match signal {
            Signal::Traces => self.take_traces(body, output),
            Signal::Metrics => self.take_metrics(body, output),
            Signal::Logs => {
                self.shared.totals.logs += LogsRequest::new(body).log_record_count()?;
                Ok(())
            }
        }
    }

    fn take_metrics(&mut self, body: &[u8], output: &mut Output) -> Result<(), WireError> {
        for resource_metrics in MetricsRequest::new(body).resource_metrics() {
            let (activity, taken) = self.metrics.take(&resource_metrics?, &mut self.shared, output);
            if let Some(activity) = activity {
                self.placement.touch(activity, &self.shared);
            }
            self.announce_opened(output);
            taken?;
        }
        Ok(())
    }

    /// Passes newly opened runs to the placement stage. To each of these runs, the stage writes a start event with the reason
    /// `already_running` for each live instance.
    #[inline]
    fn announce_opened(&mut self, output: &mut Output) {
        self.placement.announce_opened(&mut self.shared, output);
    }

    fn apply_settings(&mut self, settings: Settings) {
        self.shared.apply(settings);
        self.requests.apply_settings(&self.shared);
        self.templates.forget();
    }

    /// Sets the maximum number of templates; 0 for none. A template is an earlier span. Comparing a similar span with it is faster
    /// than decoding the whole span. The output does not depend on this number.
    pub fn limit_templates(&mut self, max: usize) {
        self.templates.limit(max);
    }

    /// Number of spans read with the help of templates since this pipeline was created or restored.
    pub fn spans_by_template(&self) -> u64 {
        self.templates.hits()
    }

    pub fn counters(&self) -> PipelineCounters {
        let (shared, totals) = (&self.shared, &self.shared.totals);
        let requests = self.requests.counts();
        let mut memory = self.requests.memory().to_vec();
        memory.push(("inventories", shared.inventory_bytes));
        PipelineCounters {
            spans: totals.spans,
            points: totals.points,
            logs: totals.logs,
            duplicates: totals.duplicates,
            unknown_node: totals.unknown_node,
            rejected: totals
                .rejected
                .iter()
                .map(|(reason, &count)| (reason.to_string(), count))
                .collect(),
            runs_open: shared.runs.live().count() as u64,
            rows_written: shared.runs.rows_written,
            rows_held: requests.rows_pending,
            spans_joining: requests.spans_joining,
            spans_remembered: requests.spans_remembered,
            rows_evicted: totals.evicted,
            memory,
            memory_limit: shared.settings.memory_limit,
        }
    }

    /// Figures of modules, nodes and runs.
    pub fn live_figures(&self) -> LiveFigures {
        live::live_figures(&self.shared)
    }

    /// Whether the pipeline needs ticks, because a part of the pipeline waits for a point in time.
    pub fn needs_ticks(&self) -> bool {
        let runs = &self.shared.runs;
        runs.live().next().is_some() || self.requests.is_waiting() || runs.any_dirty()
    }

    /// Whether the pipeline may still write rows to this folder, which contains one part of a run.
    pub fn writes_to(&self, folder: &str) -> bool {
        self.shared.runs.writes_to(folder)
    }

    /// Timestamp of the last record, nanoseconds since the Unix epoch.
    pub fn last_unix_ns(&self) -> u64 {
        self.shared.clock.last_unix_ns
    }
}
