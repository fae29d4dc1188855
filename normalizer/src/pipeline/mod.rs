//! The pipeline: a synchronous state machine that is fed journal records and emits rows. It has no clock and does no I/O.
//!
//! ```text
//! record ─▶ spans ──▶ dedup ─▶ join ─▶ rows ─┐
//!        ─▶ control ─▶ runs, placement ──────┼─▶ output
//!        ─▶ points ─▶ hosts, stats ──────────┘
//!        ─▶ time ─▶ windows close, runs end, snapshots
//! ```

mod accounts;
mod control;
mod crossings;
mod dedup;
mod held;
mod hosts;
mod inner_work;
mod inventory;
mod learned;
mod memory;
mod output;
mod placement;
mod points;
mod rolling;
mod rows;
mod runs;
mod sample;
mod series;
mod settings;
mod snapshots;
mod sources;
mod spans;
mod state;
mod totals;
mod trace_runs;
mod traces;
mod unsettled;

pub use memory::queue_share;
pub use output::{Output, RunOutput};
pub use settings::Settings;
pub use state::{RestoreError, STATE_VERSION};

use std::collections::HashMap;
use std::time::Duration;

use cctf_proto::otlp::WireError;
use cctf_proto::otlp::logs::LogsRequest;
use serde::{Deserialize, Serialize};

use self::accounts::Accounts;
use self::crossings::Crossings;
use self::dedup::RecentSet;
use self::held::HeldRows;
use self::hosts::Samplers;
use self::memory::MemoryShares;
use self::placement::Placement;
use self::rolling::RollLimits;
use self::runs::Runs;
use self::series::Recent;
use self::sources::Sources;
use self::totals::Totals;
use self::trace_runs::TraceRuns;
use self::unsettled::Unsettled;
use crate::join::JoinTable;
use crate::journal::{Content, Record, Signal};
use crate::mapping::StageTable;
use aggregate::names::Names;

/// The instance of a span whose resource names no service.
const NO_INSTANCE: u32 = u32::MAX;
/// What changes slowly of the memory is counted this often.
const INVENTORY_INTERVAL_NS: u64 = 1_000_000_000;
/// What closes by time, besides the join's windows, is looked at this often.
const HOUSEKEEPING_NS: u64 = 50_000_000;
/// A trace's run is known for at least this many join windows, and at most twice as many.
const TRACE_RUN_WINDOWS: u64 = 2;
/// A run closed for this many join windows, and silent, can have no row on its way.
const SETTLED_WINDOWS: u64 = 4 * TRACE_RUN_WINDOWS;

/// What the pipeline has counted since it came up.
#[derive(Debug, Clone, Default)]
pub struct PipelineCounters {
    /// Spans fed.
    pub spans: u64,
    /// Metric points fed.
    pub points: u64,
    /// Log records fed.
    pub logs: u64,
    /// Spans and points that had come before.
    pub duplicates: u64,
    /// Spans whose node nobody told.
    pub unknown_node: u64,
    /// Spans and points that no row could be made of, by reason.
    pub rejected: Vec<(String, u64)>,
    /// Runs that are not closed.
    pub runs_open: u64,
    /// Rows that wait.
    pub rows_held: u64,
    /// Spans in the join.
    pub spans_joining: u64,
    /// Spans remembered for their copies.
    pub spans_remembered: u64,
    /// Rows that left before their time because the memory limit was reached.
    pub rows_evicted: u64,
    /// What each table takes of it, in bytes.
    pub memory: Vec<(&'static str, u64)>,
    /// The limit, in bytes.
    pub memory_limit: u64,
}

/// The state machine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Pipeline {
    settings: Settings,
    window_ns: u64,
    stale_ns: u64,
    idle_ns: u64,
    roll: RollLimits,
    shares: MemoryShares,
    inventory_bytes: u64,
    inventories_at: u64,
    /// Journal time: that of the records, less the time in which the normalizer was down, which is silence of nobody.
    now: u64,
    /// Time in which it was down, altogether.
    down_ns: u64,
    /// Stamp of the last record.
    last_unix_ns: u64,
    housekeeping_at: u64,
    traces_turn_at: u64,
    totals: Totals,
    /// Spans of the normalizer's own run, counted before it was opened.
    unplaced: Accounts,
    /// Spans and points before the one that is being taken.
    counted_before: (u64, u64),
    sources: Sources,
    runs: Runs,
    seen: RecentSet,
    join: JoinTable,
    held: HeldRows,
    traces: TraceRuns,
    crossings: Crossings,
    placement: Placement,
    samplers: Samplers,
    /// Times of each series' latest points.
    series: HashMap<u64, Recent>,
    /// The same in every process: what it makes is kept over restarts.
    #[serde(skip)]
    series_hasher: foldhash::quality::FixedState,
    /// Last CPU time of each process's series, nanoseconds.
    process_cpu: HashMap<u64, u64>,
    endpoints: Names,
    peers: Names,
    /// Empty between two records.
    #[serde(skip)]
    unsettled: Unsettled,
    #[serde(skip)]
    endpoint_key: String,
    #[serde(skip)]
    peer_text: String,
}

impl Pipeline {
    /// A pipeline that has seen nothing.
    pub fn new(settings: Settings) -> Self {
        let stages = StageTable {
            by_name: settings.stages.clone(),
            default: settings.default_stage,
        };
        let window_ns = ns(settings.join_window);
        let shares = MemoryShares::of(&settings);
        Self {
            window_ns,
            stale_ns: ns(settings.stale_after),
            idle_ns: ns(settings.run_idle),
            roll: RollLimits::of(&settings),
            shares,
            inventory_bytes: 0,
            inventories_at: 0,
            now: 0,
            down_ns: 0,
            last_unix_ns: 0,
            housekeeping_at: 0,
            traces_turn_at: 0,
            totals: Totals::default(),
            unplaced: Accounts::default(),
            counted_before: (0, 0),
            sources: Sources::new(stages),
            runs: Runs::new(&settings.run_id, settings.open_runs_max),
            seen: RecentSet::new(ns(settings.dedup_window), shares.dedup_spans),
            join: JoinTable::new(window_ns, shares.join_spans),
            held: HeldRows::default(),
            traces: TraceRuns::new(shares.traces),
            crossings: Crossings::default(),
            placement: Placement::default(),
            samplers: Samplers::default(),
            series: HashMap::new(),
            series_hasher: foldhash::quality::FixedState::default(),
            process_cpu: HashMap::new(),
            endpoints: Names::default(),
            peers: Names::default(),
            unsettled: Unsettled::default(),
            endpoint_key: String::new(),
            peer_text: String::new(),
            settings,
        }
    }

    /// Takes a record; rows and snapshots that follow from it are added to `output`.
    pub fn feed(&mut self, record: &Record, output: &mut Output) {
        let received = record.received_unix_ns.max(self.last_unix_ns);
        if record.content == Content::Restart && self.last_unix_ns > 0 {
            self.down_ns += received - self.last_unix_ns;
        }
        self.last_unix_ns = received;
        self.now = received - self.down_ns;
        match &record.content {
            Content::Request { signal, body } => {
                // The receiver refuses what does not parse, so this counts nothing but a fault of ours.
                if self.take_request(*signal, body, output).is_err() {
                    self.totals.reject("malformed", 1);
                }
            }
            Content::Tick => {}
            Content::Restart => self.runs.resume(),
            Content::Settings { body } => match Settings::of_json(body) {
                Some(settings) => self.apply(settings),
                None => self.totals.reject("unreadable_settings", 1),
            },
            Content::Shutdown => return self.shut_down(output),
        }
        self.expire_rows(output);
        self.make_room(output);
        if self.now >= self.housekeeping_at {
            self.housekeeping_at = self.now + HOUSEKEEPING_NS;
            self.keep_house(output);
        }
        self.roll_runs(output);
    }

    /// What has been counted.
    pub fn counters(&self) -> PipelineCounters {
        PipelineCounters {
            spans: self.totals.spans,
            points: self.totals.points,
            logs: self.totals.logs,
            duplicates: self.totals.duplicates,
            unknown_node: self.totals.unknown_node,
            rejected: self
                .totals
                .rejected
                .iter()
                .map(|(reason, &count)| (reason.to_string(), count))
                .collect(),
            runs_open: self.runs.live().count() as u64,
            rows_held: self.held.len() as u64,
            spans_joining: self.join.len() as u64,
            spans_remembered: self.seen.len() as u64,
            rows_evicted: self.totals.evicted,
            memory: self.memory().to_vec(),
            memory_limit: self.settings.memory_limit,
        }
    }

    fn take_request(&mut self, signal: Signal, body: &[u8], output: &mut Output) -> Result<(), WireError> {
        match signal {
            Signal::Traces => self.take_traces(body, output),
            Signal::Metrics => self.take_metrics(body, output),
            Signal::Logs => {
                self.totals.logs += LogsRequest::new(body).log_record_count()?;
                Ok(())
            }
        }
    }

    /// Opens the normalizer's own run for data that belongs to every open run, when there is none.
    fn open_own_if_none(&mut self, output: &mut Output) {
        if self.runs.live().next().is_none() {
            let own = self.runs.own_id().to_owned();
            self.open_run(&own, false, self.now, output).ok();
        }
    }

    fn keep_house(&mut self, output: &mut Output) {
        let before_window = self.now.saturating_sub(self.window_ns);
        self.expire_placement(output);
        self.expire_samples(before_window, output);
        for slot in self.runs.with_seconds() {
            self.write_seconds(slot, before_window, output);
        }
        // A row may wait for what is decided above it for a second window.
        let windows = if self.join.extended() > 0 { 2 } else { 1 };
        for slot in self
            .runs
            .due_to_close(self.now, windows * self.window_ns, self.idle_ns)
        {
            self.close_run(slot, output);
        }
        if self.now >= self.traces_turn_at {
            self.traces_turn_at = self.now + TRACE_RUN_WINDOWS * self.window_ns;
            self.traces.turn();
        }
        self.crossings.expire(self.now, self.window_ns);
        self.runs
            .forget_old(self.now.saturating_sub(SETTLED_WINDOWS * self.window_ns));
        if self.now >= self.inventories_at {
            self.inventories_at = self.now + INVENTORY_INTERVAL_NS;
            self.count_inventories();
        }
        self.make_snapshots(output);
    }

    /// Nothing more will come: what waits is written as it stands, and all runs are closed.
    fn shut_down(&mut self, output: &mut Output) {
        let now = std::mem::replace(&mut self.now, u64::MAX);
        self.join.expire(self.now);
        self.now = now;
        self.write_settled(output);
        while let Some(row) = self.held.next_without_run(u64::MAX) {
            self.write_by_fallback(row, output);
        }
        self.conclude_starts(output);
        self.expire_samples(u64::MAX, output);
        let live: Vec<usize> = self.runs.live().collect();
        for slot in live {
            self.runs.at(slot).suspend();
            self.close_run(slot, output);
        }
        self.close_accounts(output);
        for slot in self.runs.with_seconds() {
            self.write_seconds(slot, u64::MAX, output);
        }
        self.make_last_snapshots(output);
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}
