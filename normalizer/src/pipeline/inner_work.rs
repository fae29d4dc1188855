//! Inner work on its way to a row: it is an invocation if its parent is of another instance, which spans without kind are in
//! old Jaeger data. Nearly none is, and most parents come in the same request, so that its attributes are read at the
//! request's end, if it may still be one then.

use std::sync::Arc;

use cctf_proto::cctf::{SpanId, TraceId};
use cctf_proto::otlp::trace::Span;

use super::Pipeline;
use super::crossings::RowRun;
use super::output::Output;
use super::sources::Source;
use super::spans::RowSpan;
use super::unsettled::{INNER, InnerWork, UNSETTLED};
use crate::join::Outcome;
use crate::mapping::AttributeSlots;
use crate::mapping::map_span;

/// The entry of what has an outcome already.
const NO_ENTRY: u32 = u32::MAX;

impl Pipeline {
    /// Remembers inner work that is an invocation if its parent is of another instance; false if it is known to be none.
    pub(super) fn await_inner_work(
        &mut self,
        joined: Result<Outcome, u32>,
        (trace_id, span_id): ([u8; 16], [u8; 8]),
        run: Option<usize>,
    ) -> bool {
        let (entry, outcome) = match joined {
            Ok(Outcome::Nothing) => return false,
            Ok(outcome) => (NO_ENTRY, Some(outcome)),
            Err(entry) => (entry, None),
        };
        if outcome.is_none() {
            let number = self.unsettled.inner.len() as u32;
            self.join.hold(entry, UNSETTLED | INNER | number);
        }
        self.unsettled.inner.push(InnerWork {
            entry,
            outcome,
            trace_id,
            span_id,
            run,
        });
        true
    }

    /// Gives the inner work of a trace that waits for its run that run.
    pub(super) fn know_run_of_inner_work(&mut self, trace_id: &[u8; 16], run: usize) {
        let mut inner = std::mem::take(&mut self.unsettled.inner);
        let waiting = inner
            .iter_mut()
            .filter(|inner| inner.run.is_none() && inner.trace_id == *trace_id);
        for inner in waiting {
            inner.run = Some(run);
            self.note_run_of_inner_work(trace_id, &inner.span_id, RowRun::of(inner.run));
        }
        self.unsettled.inner = inner;
    }

    /// Makes the row of inner work that is an invocation, or may become one.
    pub(super) fn take_inner_work(
        &mut self,
        span: &Span<'_>,
        slots: &AttributeSlots<'_>,
        source: &Arc<Source>,
        inner: InnerWork,
        output: &mut Output,
    ) {
        let (Some(trace_id), Some(span_id)) = (
            TraceId::from_bytes(span.trace_id),
            SpanId::from_bytes(span.span_id),
        ) else {
            return;
        };
        let row = RowSpan {
            span,
            slots,
            mapped: &map_span(span, slots),
            source,
            trace_id,
            span_id,
            parent_span_id: SpanId::from_bytes(span.parent_span_id),
        };
        // Known since its span arrived, if it was: what refers to it went by that.
        let run = self.run_of_row(&row, inner.run, output);
        self.note_run_of_inner_work(&trace_id.0, &span_id.0, RowRun::of(run));
        let begin = self.unsettled.lines.len();
        let (gaps, facts) = self.encode_invocation(&row);
        self.place_row(begin, gaps, facts, run, inner.outcome.ok_or(inner.entry), output);
        self.write_settled(output);
    }
}
