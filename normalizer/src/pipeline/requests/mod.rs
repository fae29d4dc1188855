//! The stage for requests: it turns spans into rows of invocations and calls.

mod crossings;
mod dedup;
mod encode;
mod fingerprint;
mod graph_stats;
mod inner_work;
mod pending_rows;
mod request_rows;
mod roles;
mod row_facts;
mod row_runs;
mod rows;
mod spans;
mod templates;
mod trace_runs;
mod write;

use aggregate::ids::RunId;
use cctf_proto::otlp::trace::Span;
use serde::{Deserialize, Serialize};

use self::dedup::RecentSet;
use self::encode::row_kind;
use self::fingerprint::span_fingerprint;
use self::pending_rows::PendingRows;
use self::request_rows::RequestRows;
use self::row_runs::RowRuns;
use super::shared::Shared;
use super::shared::accounts::Fate;
use super::shared::clock::ns;
use super::shared::facts::Activity;
use super::shared::memory::{JOIN_SPAN_BYTES, TRACE_BYTES};
use super::shared::source::Source;
use crate::join::JoinTable;

pub use self::roles::is_inner_work;
pub use self::templates::{Found, Place, TemplateId, Templates};

/// Minimum number of join windows for which the run of a trace is remembered. The maximum is twice this number.
pub const TRACE_RUN_WINDOWS: u64 = 2;

/// The state for turning spans into rows.
#[derive(Debug, Serialize, Deserialize)]
pub struct Requests {
    /// Spans that were received recently, to recognise duplicates.
    recent: RecentSet,
    join: JoinTable,
    pending: PendingRows,
    row_runs: RowRuns,
    traces_rotate_at: u64,
    /// Empty between two records.
    #[serde(skip)]
    request_rows: RequestRows,
    #[serde(skip)]
    endpoint_key: String,
    #[serde(skip)]
    peer_text: String,
}

/// Facts about a processed span, for other stages and for the rest of its request.
#[derive(Debug, Default, Clone, Copy)]
pub struct SpanFacts {
    pub activity: Option<Activity>,
    /// Whether the span is inner work, which is processed again at the end of the OTLP request.
    pub is_taken_again: bool,
}

/// The stage's figures for the metrics.
pub struct RequestCounts {
    pub rows_pending: u64,
    pub spans_joining: u64,
    pub spans_remembered: u64,
}

impl Requests {
    pub fn new(shared: &Shared) -> Self {
        let shares = &shared.shares;
        Self {
            recent: RecentSet::new(ns(shared.settings.dedup_window), shares.dedup_spans),
            join: JoinTable::new(shared.windows.join_ns, shares.join_spans),
            pending: PendingRows::new(shares.spare_bytes()),
            row_runs: RowRuns::new(shares.traces),
            traces_rotate_at: 0,
            request_rows: RequestRows::default(),
            endpoint_key: String::new(),
            peer_text: String::new(),
        }
    }

    /// Applies changed settings. Rows that wait keep their deadline.
    pub fn apply_settings(&mut self, shared: &Shared) {
        let shares = &shared.shares;
        self.join.set_limits(shared.windows.join_ns, shares.join_spans);
        self.recent.set_entries_max(shares.dedup_spans);
        self.recent.set_window(ns(shared.settings.dedup_window));
        self.row_runs.traces.set_max(shares.traces);
        self.pending.set_spare_max(shares.spare_bytes());
    }

    /// Prefetches the memory that the tables will read for a span and its parent.
    #[inline]
    pub fn prefetch(&self, span: &Span<'_>) {
        let (Ok(trace_id), Ok(span_id)) = (span.trace_id.try_into(), span.span_id.try_into()) else {
            return;
        };
        self.recent
            .prefetch(span_fingerprint(trace_id, span_id, row_kind(span.kind) as u8));
        self.join.prefetch(trace_id, span_id);
        if let Ok(parent_span_id) = span.parent_span_id.try_into() {
            self.join.prefetch(trace_id, parent_span_id);
        }
    }

    /// Whether a span is new. Remembers it. A duplicate is counted.
    #[inline]
    pub fn is_new(
        &mut self,
        span: &Span<'_>,
        (trace_id, span_id): (&[u8; 16], &[u8; 8]),
        named_run: Option<&str>,
        source: &Source,
        shared: &mut Shared,
    ) -> bool {
        let fingerprint = span_fingerprint(trace_id, span_id, row_kind(span.kind) as u8);
        let is_new = self.recent.insert(fingerprint, shared.clock.now);
        if !is_new {
            self.account_duplicate(named_run, trace_id, source, shared);
        }
        is_new
    }

    /// Counts a duplicate. A duplicate neither opens a run nor waits for one.
    fn account_duplicate(
        &mut self,
        named_run: Option<&str>,
        trace_id: &[u8; 16],
        source: &Source,
        shared: &mut Shared,
    ) {
        shared.totals.duplicates += 1;
        let run = named_run
            .and_then(|run_id| shared.runs.find(run_id))
            .or_else(|| self.row_runs.traces.get(trace_id))
            .or_else(|| shared.open_run_of(source));
        shared.account(run, Fate::Duplicate, 1);
    }

    /// The run of a trace, if it is known.
    fn run_of_trace(&self, trace_id: &[u8; 16]) -> Option<RunId> {
        self.row_runs.traces.get(trace_id)
    }

    /// Forgets old traces and rows.
    pub fn expire_runs_of_traces(&mut self, shared: &Shared) {
        let (now, window_ns) = (shared.clock.now, shared.windows.join_ns);
        if now >= self.traces_rotate_at {
            self.traces_rotate_at = now + TRACE_RUN_WINDOWS * window_ns;
            self.row_runs.traces.rotate_generations();
        }
        self.row_runs.crossings.expire(now, window_ns);
    }

    /// Whether a row waits in a second window for an undecided ancestor.
    pub fn has_extended_rows(&self) -> bool {
        self.join.extended() > 0
    }

    /// Whether any row waits.
    pub fn is_waiting(&self) -> bool {
        self.pending.len() > 0 || !self.join.is_empty()
    }

    pub fn counts(&self) -> RequestCounts {
        RequestCounts {
            rows_pending: self.pending.len() as u64,
            spans_joining: self.join.len() as u64,
            spans_remembered: self.recent.len() as u64,
        }
    }

    /// Size of each table, bytes.
    pub fn memory(&self) -> [(&'static str, u64); 4] {
        [
            ("copies", self.recent.table_bytes()),
            ("join", self.join.len() as u64 * JOIN_SPAN_BYTES),
            ("rows", self.pending.bytes()),
            ("traces", self.row_runs.len() as u64 * TRACE_BYTES),
        ]
    }
}
