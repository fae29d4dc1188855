//! Inner work that may become a row. It is an invocation if its parent belongs to another instance, for example in old Jaeger
//! data, where spans have no kind. This is rare, and most parents arrive in the same request. So the attributes are read only
//! at the end of the request, if the span may still be an invocation.

use std::sync::Arc;

use aggregate::ids::RunId;
use cctf_proto::cctf::{SpanId, TraceId};
use cctf_proto::otlp::trace::Span;

use super::Requests;
use super::crossings::RowRun;
use super::encode::{RowSpan, encode_invocation};
use super::request_rows::InnerWork;
use super::rows::NewRow;
use crate::join::{Joined, Outcome, Role, RowRef};
use crate::mapping::{AttributeSlots, map_span};
use crate::pipeline::output::Output;
use crate::pipeline::shared::Shared;
use crate::pipeline::shared::accounts::Fate;
use crate::pipeline::shared::source::Source;

impl Requests {
    /// Remembers inner work that is an invocation if its parent belongs to another instance. Returns false if it is certainly
    /// not an invocation.
    pub fn await_inner_work(&mut self, joined: Joined, row: &RowSpan<'_, '_>, run: Option<RunId>) -> bool {
        match joined {
            Joined::Resolved(Outcome::Nothing) => return false,
            Joined::Resolved(_) => {}
            Joined::Waits(entry) => {
                let place = self.request_rows.inner.len() as u32;
                self.join.hold(entry, RowRef::Inner(place));
            }
        }
        self.request_rows.inner.push(InnerWork {
            joined,
            trace_id: row.trace_id.0,
            span_id: row.span_id.0,
            run,
        });
        true
    }

    /// Sets the run of a trace for the trace's inner work that waits for it.
    pub fn know_run_of_inner_work(&mut self, trace_id: &[u8; 16], run: RunId, shared: &Shared) {
        let inner = self.request_rows.inner.iter_mut();
        for inner in inner.filter(|inner| inner.run.is_none() && inner.trace_id == *trace_id) {
            inner.run = Some(run);
            let ids = (trace_id, &inner.span_id);
            self.row_runs
                .note_run_of_inner_work(ids, RowRun::Known(run), &self.recent, shared);
        }
    }

    /// Processes the request's inner work again, as far as it may still be an invocation. `spans` are the spans for which
    /// [`Self::take_span`] requested this, in the same order.
    pub fn take_inner_work<'a: 's, 's>(
        &mut self,
        spans: impl Iterator<Item = (&'s Span<'a>, &'s Arc<Source>)>,
        slots: &mut AttributeSlots<'a>,
        shared: &mut Shared,
        output: &mut Output,
    ) {
        for (place, (span, source)) in spans.enumerate() {
            let inner = self.request_rows.inner[place];
            if inner.joined == Joined::Resolved(Outcome::Nothing) {
                self.account_span(span, source, inner.run, Fate::Inner, shared, output);
            } else {
                // The receiver refuses unreadable attributes. If there are some nevertheless, the row gets the attributes
                // before the error, because other rows may already refer to this row.
                let _ = slots.fill(span.attributes());
                self.take_possible_invocation(span, slots, source, inner, shared, output);
            }
        }
        self.request_rows.inner.clear();
    }

    fn take_possible_invocation(
        &mut self,
        span: &Span<'_>,
        slots: &AttributeSlots<'_>,
        source: &Arc<Source>,
        inner: InnerWork,
        shared: &mut Shared,
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
            source,
            role: Role::Internal,
            trace_id,
            span_id,
            parent_span_id: SpanId::from_bytes(span.parent_span_id),
        };
        // The run that was known when the span arrived is kept: rows that refer to this row were written according to that run.
        let run = self.run_of_row(&row, inner.run, shared, output);
        let ids = (&trace_id.0, &span_id.0);
        self.row_runs
            .note_run_of_inner_work(ids, RowRun::new(run), &self.recent, shared);
        let lines = &mut self.request_rows.lines;
        let begin = lines.len();
        let keep_query = shared.settings.keep_query;
        let key = &mut self.endpoint_key;
        let mapped = map_span(span, slots);
        let (offsets, facts) =
            encode_invocation(&row, &mapped, keep_query, &mut shared.endpoints, key, lines);
        let new = NewRow {
            begin,
            offsets,
            facts,
            run,
            joined: inner.joined,
        };
        self.place_row(new, shared, output);
        self.write_resolved(shared, output);
    }
}
