//! A request's spans on their way in: read some ahead of their turn, so that the tables are asked for all of them at once.

use std::sync::Arc;

use cctf_proto::keys;
use cctf_proto::otlp::WireError;
use cctf_proto::otlp::admission::{is_run_id_ok, reject_span_of_run};
use cctf_proto::otlp::common::AnyValue;
use cctf_proto::otlp::trace::{Span, SpanKind, TraceRequest};

use super::Pipeline;
use super::accounts::Fate;
use super::dedup::span_fingerprint;
use super::output::Output;
use super::sources::Source;
use super::spans::row_kind;
use crate::join::Outcome;
use crate::mapping::AttributeSlots;
use crate::mapping::conventions::Slot;

/// Spans that are read before the first of them is taken: enough for memory to answer, and few enough for the first-level
/// cache to hold what they asked for.
const SPANS_AHEAD: usize = 48;

/// A span before its turn.
#[derive(Clone, Copy)]
struct Waiting<'a> {
    span: Span<'a>,
    /// Number of its source in the request.
    source: usize,
    is_control: bool,
}

/// What a request's spans have been read into.
struct Ahead<'a> {
    spans: Vec<Waiting<'a>>,
    /// Inner work of the request that may turn out to be an invocation.
    inner: Vec<Waiting<'a>>,
    /// Sources in the order of the request, and whether each names a run as it must.
    sources: Vec<(Arc<Source>, bool)>,
    slots: AttributeSlots<'a>,
}

impl Pipeline {
    /// Takes a request's spans.
    pub(super) fn take_traces(&mut self, message: &[u8], output: &mut Output) -> Result<(), WireError> {
        let mut ahead = Ahead {
            spans: Vec::with_capacity(SPANS_AHEAD),
            inner: Vec::new(),
            sources: Vec::new(),
            slots: AttributeSlots::new(),
        };
        let read = self.read_spans(message, &mut ahead, output);
        let taken = self.take_waiting(&mut ahead, output);
        self.take_inner(&mut ahead, output);
        self.hold_unsettled();
        read.and(taken)
    }

    fn read_spans<'a>(
        &mut self,
        message: &'a [u8],
        ahead: &mut Ahead<'a>,
        output: &mut Output,
    ) -> Result<(), WireError> {
        for resource_spans in TraceRequest::new(message).resource_spans() {
            let resource_spans = resource_spans?;
            let source = self.sources.of_service(&resource_spans.resource)?;
            let run_id_ok = is_run_id_ok(&resource_spans.resource.attributes());
            ahead.sources.push((source, run_id_ok));
            for scope_spans in resource_spans.scope_spans() {
                let scope_spans = scope_spans?;
                let is_control = scope_spans.scope.name == keys::CONTROL_SCOPE;
                let source = ahead.sources.len() - 1;
                scope_spans.try_for_each_span(|span| {
                    self.prefetch(&span);
                    ahead.spans.push(Waiting {
                        span,
                        source,
                        is_control,
                    });
                    if ahead.spans.len() < SPANS_AHEAD {
                        return Ok(());
                    }
                    self.take_waiting(ahead, output)
                })?;
            }
        }
        Ok(())
    }

    /// Asks for what the tables have of a span and of its parent.
    #[inline]
    fn prefetch(&self, span: &Span<'_>) {
        let (Ok(trace_id), Ok(span_id)) = (span.trace_id.try_into(), span.span_id.try_into()) else {
            return;
        };
        self.seen
            .prefetch(span_fingerprint(trace_id, span_id, row_kind(span.kind) as u8));
        self.join.prefetch(trace_id, span_id);
        if let Ok(parent_span_id) = span.parent_span_id.try_into() {
            self.join.prefetch(trace_id, parent_span_id);
        }
    }

    fn take_waiting(&mut self, ahead: &mut Ahead<'_>, output: &mut Output) -> Result<(), WireError> {
        let Ahead {
            spans,
            inner,
            sources,
            slots,
        } = ahead;
        let taken = spans.iter().try_for_each(|waiting| {
            let (source, run_id_ok) = &sources[waiting.source];
            self.take_in_turn(waiting, source, *run_id_ok, slots, output)?;
            if self.unsettled.inner.len() > inner.len() {
                inner.push(*waiting);
            }
            Ok(())
        });
        spans.clear();
        taken
    }

    /// Takes the inner work again that may still be an invocation.
    fn take_inner(&mut self, ahead: &mut Ahead<'_>, output: &mut Output) {
        for (at, waiting) in ahead.inner.iter().enumerate() {
            let inner = self.unsettled.inner[at];
            let (source, _) = &ahead.sources[waiting.source];
            if inner.outcome == Some(Outcome::Nothing) {
                self.account_span(&waiting.span, source, inner.run, Fate::Inner, output);
                continue;
            }
            // The receiver admits no attributes that cannot be read. Of others the row has those before the fault: rows may
            // refer to it already.
            let _ = ahead.slots.fill(waiting.span.attributes());
            self.take_inner_work(&waiting.span, &ahead.slots, source, inner, output);
        }
        ahead.inner.clear();
        self.unsettled.inner.clear();
    }

    fn take_in_turn<'a>(
        &mut self,
        waiting: &Waiting<'a>,
        source: &Arc<Source>,
        run_id_ok: bool,
        slots: &mut AttributeSlots<'a>,
        output: &mut Output,
    ) -> Result<(), WireError> {
        let span = &waiting.span;
        self.counted_before = (self.totals.spans, self.totals.points);
        self.totals.spans += 1;
        // Inner work gives no row, so of its attributes only the run counts.
        if !waiting.is_control && is_inner_work(span) {
            slots.fill_one(Slot::RunId, keys::RUN_ID, span.attributes())?;
        } else {
            slots.fill(span.attributes())?;
        }
        if let Some(rejection) = reject_span_of_run(span, run_id_ok && is_told_run_id_ok(slots)) {
            self.reject_span(None, rejection.as_str());
        } else if waiting.is_control {
            self.take_control(span, slots, source, output);
        } else {
            self.take_span(span, slots, source, output);
        }
        Ok(())
    }
}

/// Whether it is neither a root nor anything that sends or receives, and its parent may be in the same process.
fn is_inner_work(span: &Span<'_>) -> bool {
    matches!(span.kind, SpanKind::Internal | SpanKind::Unspecified)
        && span.parent_span_id.iter().any(|&byte| byte != 0)
        && span.parent_is_remote() != Some(true)
}

/// Whether the run id that a span tells, if it tells one, can be a folder's name.
fn is_told_run_id_ok(slots: &AttributeSlots<'_>) -> bool {
    let is_valid = |told: AnyValue<'_>| told.as_str().is_some_and(keys::is_valid_run_id);
    slots.get(Slot::RunId).is_none_or(is_valid)
}
