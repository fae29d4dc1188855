//! [`RowRuns`]: the runs of traces and rows, and which rows of one run may refer to each other.

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
    /// `traces_max`: maximum number of traces of one generation.
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

    /// Notes the run of a span's row. `recent`: the spans seen lately.
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

    /// Notes the run of inner work's row, which may have been noted when its span arrived.
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

    /// Notes the run of a row that waited for its trace's.
    pub fn note_decided(&mut self, row: &PendingRow, run: RowRun, shared: &Shared) {
        if let Some(span_id) = span_id_of(&row.line)
            && self.crossings.note(run)
        {
            let row = row_fingerprint(&row.facts.trace_id, &span_id.0, row.facts.row_type);
            // All rows with that id waited for the same trace's run.
            self.crossings.decide(row, run, shared.shares.traces, || false);
        }
    }

    /// Whether a row of this run may refer to an invocation or a call: its row is in the folder of the same run, or will be.
    #[inline]
    pub fn is_in_run(&self, run: RunId, trace_id: &[u8; 16], span_id: &[u8; 8], row_type: RowType) -> bool {
        !self.crossings.are_possible()
            || self.is_remembered_in_run(run, row_fingerprint(trace_id, span_id, row_type))
    }

    /// A row that still waits is not of a run that its trace has named: with that it would have been remembered.
    #[cold]
    fn is_remembered_in_run(&self, run: RunId, row: u64) -> bool {
        let known = self.crossings.run_of(row);
        known.is_none_or(|known| known == RowRun::Known(run))
    }
}

/// The kinds of spans whose rows are invocations, and those whose rows are calls.
const INVOCATIONS: &[SpanKind] = &[SpanKind::Server, SpanKind::Consumer, SpanKind::Internal];
const CALLS: &[SpanKind] = &[SpanKind::Client, SpanKind::Producer];

fn row_type(kind: SpanKind) -> RowType {
    if CALLS.contains(&kind) {
        RowType::Call
    } else {
        RowType::Invocation
    }
}

/// Identifies a row by what refers to it: the ids alone may be those of a call and of its answer.
fn row_fingerprint(trace_id: &[u8; 16], span_id: &[u8; 8], row_type: RowType) -> u64 {
    span_fingerprint(trace_id, span_id, row_type as u8)
}

/// Whether a span of another kind has been seen to whose row the same references would lead.
#[cold]
fn is_id_shared(recent: &RecentSet, trace_id: &[u8; 16], span_id: &[u8; 8], kind: SpanKind) -> bool {
    let kinds = match row_type(kind) {
        RowType::Call => CALLS,
        RowType::Invocation => INVOCATIONS,
    };
    let mut others = kinds.iter().filter(|&&other| other != kind);
    others.any(|&other| recent.contains(span_fingerprint(trace_id, span_id, other as u8)))
}

/// The span of a row's line, which begins with `trace_id` and `span_id`.
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
