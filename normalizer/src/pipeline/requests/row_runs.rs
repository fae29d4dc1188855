//! [`RowRuns`]: the runs of traces and rows. It decides which rows of a run may refer to each other.

use aggregate::ids::RunId;
use cctf_proto::cctf::{SpanId, SpanKind};
use serde::{Deserialize, Serialize};

use super::crossings::{Crossings, RowRun};
use super::dedup::RecentSet;
use super::fingerprint::span_fingerprint;
use super::pending_rows::PendingRow;
use super::row_facts::RowType;
use super::trace_runs::TraceRuns;
use crate::pipeline::shared::Shared;

/// The runs of traces and rows.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct RowRuns {
    pub traces: TraceRuns,
    pub crossings: Crossings,
}

impl RowRuns {
    /// `traces_max` is the maximum number of traces in one generation.
    pub fn new(traces_max: usize) -> Self {
        Self {
            traces: TraceRuns::new(traces_max),
            crossings: Crossings::default(),
        }
    }

    /// Number of traces and rows remembered.
    pub fn len(&self) -> usize {
        self.traces.len() + self.crossings.len()
    }

    /// Records the run of a span's row. `recent` has the spans that were received recently.
    #[inline]
    pub fn note_run(
        &mut self,
        (trace_id, span_id): (&[u8; 16], &[u8; 8]),
        kind: SpanKind,
        run: RowRun,
        recent: &RecentSet,
        shared: &Shared,
    ) {
        if self.crossings.note(run) {
            let is_ambiguous = || is_id_shared(recent, trace_id, span_id, kind);
            let row = row_fingerprint(trace_id, span_id, row_type(kind));
            self.crossings
                .remember(row, run, shared.shares.traces, is_ambiguous);
        }
    }

    /// Records the run of inner work's row. It may have been recorded before, when the span arrived.
    pub fn note_run_of_inner_work(
        &mut self,
        (trace_id, span_id): (&[u8; 16], &[u8; 8]),
        run: RowRun,
        recent: &RecentSet,
        shared: &Shared,
    ) {
        if self.crossings.note(run) {
            let is_ambiguous = || is_id_shared(recent, trace_id, span_id, SpanKind::Internal);
            let row = row_fingerprint(trace_id, span_id, RowType::Invocation);
            self.crossings
                .decide(row, run, shared.shares.traces, is_ambiguous);
        }
    }

    /// Records the run of a row that waited for the run of its trace.
    pub fn note_decided(&mut self, row: &PendingRow, run: RowRun, shared: &Shared) {
        if let Some(span_id) = span_id_of(&row.line)
            && self.crossings.note(run)
        {
            let row = row_fingerprint(&row.facts.trace_id, &span_id.0, row.facts.row_type);
            // All rows with that id waited for the run of the same trace.
            self.crossings.decide(row, run, shared.shares.traces, || false);
        }
    }

    /// Whether a row of this run may refer to an invocation or call: the other row is, or will be, in the folder of the same
    /// run.
    #[inline]
    pub fn is_in_run(&self, run: RunId, trace_id: &[u8; 16], span_id: &[u8; 8], row_type: RowType) -> bool {
        !self.crossings.are_possible()
            || self.is_remembered_in_run(run, row_fingerprint(trace_id, span_id, row_type))
    }

    /// Whether a row is remembered with this run, or not remembered at all. A row that still waits for the run of its trace does
    /// not count: if the trace had named this run, the row would already be remembered with it.
    #[cold]
    fn is_remembered_in_run(&self, run: RunId, row: u64) -> bool {
        let known = self.crossings.run_of(row);
        known.is_none_or(|known| known == RowRun::Known(run))
    }
}

/// Kinds of spans whose rows are invocations, and kinds whose rows are calls.
const INVOCATIONS: &[SpanKind] = &[SpanKind::Server, SpanKind::Consumer, SpanKind::Internal];
const CALLS: &[SpanKind] = &[SpanKind::Client, SpanKind::Producer];

fn row_type(kind: SpanKind) -> RowType {
    if CALLS.contains(&kind) {
        RowType::Call
    } else {
        RowType::Invocation
    }
}

/// The fingerprint of a row. It includes the row type, because a call and its answer can have the same ids.
fn row_fingerprint(trace_id: &[u8; 16], span_id: &[u8; 8], row_type: RowType) -> u64 {
    span_fingerprint(trace_id, span_id, row_type as u8)
}

/// Whether a span of another kind with the same ids and the same type of row was received, so that a reference could mean either
/// row.
#[cold]
fn is_id_shared(recent: &RecentSet, trace_id: &[u8; 16], span_id: &[u8; 8], kind: SpanKind) -> bool {
    let kinds = match row_type(kind) {
        RowType::Call => CALLS,
        RowType::Invocation => INVOCATIONS,
    };
    let mut others = kinds.iter().filter(|&&other| other != kind);
    others.any(|&other| recent.contains(span_fingerprint(trace_id, span_id, other as u8)))
}

/// The span id in a row's line. A line begins with `trace_id` and `span_id`.
fn span_id_of(line: &[u8]) -> Option<SpanId> {
    const BEGIN: usize = r#"{"trace_id":"","span_id":""#.len() + 2 * size_of::<[u8; 16]>();
    let digits = line.get(BEGIN..BEGIN + 2 * size_of::<[u8; 8]>())?;
    SpanId::parse(std::str::from_utf8(digits).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_the_ids_of_its_row() {
        let line = br#"{"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"00000000000000a2","parent_id":null"#;
        assert_eq!(span_id_of(line), Some(SpanId([0, 0, 0, 0, 0, 0, 0, 0xa2])));
        assert_eq!(span_id_of(b"{}"), None);
    }
}
