//! Reads the spans of a request. Several spans are read ahead, so that the memory for all of them can be prefetched at once.

use std::sync::Arc;

use cctf_proto::keys;
use cctf_proto::otlp::WireError;
use cctf_proto::otlp::admission::{is_run_id_ok, reject_span_of_run};
use cctf_proto::otlp::common::AnyValue;
use cctf_proto::otlp::trace::{Span, SpanKind, TraceRequest};

use super::Pipeline;
use super::output::Output;
use super::shared::source::Source;
use crate::mapping::AttributeSlots;
use crate::mapping::conventions::Slot;

/// Number of spans that are read before the first of them is processed. This number is high enough to hide the latency of memory,
/// and low enough for the first-level cache to hold the prefetched lines.
const SPANS_AHEAD: usize = 48;

/// A span that was read and waits to be processed.
#[derive(Clone, Copy)]
struct Waiting<'a> {
    span: Span<'a>,
    /// Index of the span's source in [`Ahead::sources`].
    source: usize,
    /// Whether the span reports an event to the normalizer, such as the start of a run.
    is_control: bool,
}

/// The spans of a request that were read ahead.
struct Ahead<'a> {
    spans: Vec<Waiting<'a>>,
    /// Spans of inner work ([`is_inner_work`]) that may turn out to be invocations.
    inner: Vec<Waiting<'a>>,
    /// Sources in the order of the request. The second value is false if the source has an invalid run id.
    sources: Vec<(Arc<Source>, bool)>,
    slots: AttributeSlots<'a>,
}

impl Pipeline {
    /// Processes the spans of a request.
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
        self.requests.end_request(&self.shared);
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
            let source = self.shared.sources.service(&resource_spans.resource)?;
            let run_id_ok = is_run_id_ok(&resource_spans.resource.attributes());
            ahead.sources.push((source, run_id_ok));
            for scope_spans in resource_spans.scope_spans() {
                let scope_spans = scope_spans?;
                let is_control = scope_spans.scope.name == keys::CONTROL_SCOPE;
                let source = ahead.sources.len() - 1;
                scope_spans.try_for_each_span(|span| {
                    self.requests.prefetch(&span);
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

    fn take_waiting(&mut self, ahead: &mut Ahead<'_>, output: &mut Output) -> Result<(), WireError> {
        let Ahead {
            spans,
            inner,
            sources,
            slots,
        } = ahead;
        let taken = spans.iter().try_for_each(|waiting| {
            let (source, run_id_ok) = &sources[waiting.source];
            if self.take_in_turn(waiting, source, *run_id_ok, slots, output)? {
                inner.push(*waiting);
            }
            Ok(())
        });
        spans.clear();
        taken
    }

    /// Processes the spans of inner work again that may be invocations.
    fn take_inner(&mut self, ahead: &mut Ahead<'_>, output: &mut Output) {
        let sources = &ahead.sources;
        let inner = ahead.inner.iter();
        let spans = inner.map(|waiting| (&waiting.span, &sources[waiting.source].0));
        self.requests
            .take_inner_work(spans, &mut ahead.slots, &mut self.shared, output);
        self.announce_opened(output);
        ahead.inner.clear();
    }

    /// Processes a span. Returns true if the span may be an invocation, and must be processed again at the end of the OTLP request.
    fn take_in_turn<'a>(
        &mut self,
        waiting: &Waiting<'a>,
        source: &Arc<Source>,
        run_id_ok: bool,
        slots: &mut AttributeSlots<'a>,
        output: &mut Output,
    ) -> Result<bool, WireError> {
        let span = &waiting.span;
        self.shared.begin_item();
        self.shared.totals.spans += 1;
        // Inner work gets no row before the end of the request, so only the run id matters here.
        if !waiting.is_control && is_inner_work(span) {
            slots.fill_one(Slot::RunId, keys::RUN_ID, span.attributes())?;
        } else {
            slots.fill(span.attributes())?;
        }
        if let Some(rejection) = reject_span_of_run(span, run_id_ok && is_named_run_ok(slots)) {
            self.shared.reject_span(None, rejection.as_str());
            return Ok(false);
        }
        if waiting.is_control {
            self.take_control(span, slots, source, output);
            return Ok(false);
        }
        let facts = self
            .requests
            .take_span(span, slots, source, &mut self.shared, output);
        if let Some(activity) = facts.activity {
            self.placement.touch(activity, &self.shared);
        }
        self.announce_opened(output);
        Ok(facts.is_taken_again)
    }
}

/// Whether the span is inner work: the span has a parent that may be in the same process, and neither sends nor receives a
/// request or message.
fn is_inner_work(span: &Span<'_>) -> bool {
    matches!(span.kind, SpanKind::Internal | SpanKind::Unspecified)
        && span.parent_span_id.iter().any(|&byte| byte != 0)
        && span.parent_is_remote() != Some(true)
}

/// Whether the span names no run, or a run with a valid id.
fn is_named_run_ok(slots: &AttributeSlots<'_>) -> bool {
    let is_valid = |id: AnyValue<'_>| id.as_str().is_some_and(keys::is_valid_run_id);
    slots.get(Slot::RunId).is_none_or(is_valid)
}
