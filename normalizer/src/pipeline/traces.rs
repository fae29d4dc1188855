//! Reads the spans of a request. Several spans are read ahead, so that the memory for all of them can be prefetched at once.

use std::sync::Arc;

use cctf_proto::keys;
use cctf_proto::otlp::WireError;
use cctf_proto::otlp::admission::{is_run_id_ok, reject_span_of_run};
use cctf_proto::otlp::common::AnyValue;
use cctf_proto::otlp::trace::{ResourceSpans, Span, TraceRequest};
use cctf_proto::otlp::usual::SpanMessage;

use super::Pipeline;
use super::output::Output;
use super::requests::{Found, Place, TemplateId, is_inner_work};
use super::shared::facts::Activity;
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
    message: SpanMessage<'a>,
    /// Index of the span's source in [`Ahead::sources`].
    source: usize,
    /// Whether the span reports an event to the normalizer, such as the start of a run.
    is_control: bool,
    /// The template by which it was read.
    template: Option<TemplateId>,
    /// End of the span's values in [`Ahead::values`]. They begin where the values of the previous span end.
    values_end: usize,
}

/// The source (service instance) that one part of the request names.
struct RequestSource {
    source: Arc<Source>,
    /// Whether the part's run id is valid or absent.
    is_run_id_ok: bool,
    place: Place,
}

/// The spans of a request that were read ahead.
struct Ahead<'a> {
    spans: Vec<Waiting<'a>>,
    /// Values that templates have read.
    values: Vec<Found<'a>>,
    /// Spans of inner work ([`is_inner_work`]) that may turn out to be invocations.
    inner: Vec<Waiting<'a>>,
    /// Sources in the order of the request.
    sources: Vec<RequestSource>,
    slots: AttributeSlots<'a>,
    /// The combined activity of the last spans, which are all of one instance. The placement stage does not have it yet.
    activity: Option<Activity>,
}

impl Pipeline {
    /// Processes the spans of a request.
    pub(super) fn take_traces(&mut self, message: &[u8], output: &mut Output) -> Result<(), WireError> {
        let mut ahead = Ahead {
            spans: Vec::with_capacity(SPANS_AHEAD),
            values: Vec::new(),
            inner: Vec::new(),
            sources: Vec::new(),
            slots: AttributeSlots::new(),
            activity: None,
        };
        self.templates.begin_request();
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
            let source = self.request_source(&resource_spans)?;
            ahead.sources.push(source);
            for scope_spans in resource_spans.scope_spans() {
                let scope_spans = scope_spans?;
                let is_control = scope_spans.scope.name == keys::CONTROL_SCOPE;
                scope_spans.try_for_each_message(|message| {
                    self.read_ahead(message, is_control, ahead)?;
                    if ahead.spans.len() < SPANS_AHEAD {
                        return Ok(());
                    }
                    self.take_waiting(ahead, output)
                })?;
            }
        }
        Ok(())
    }

    fn request_source(&mut self, of: &ResourceSpans<'_>) -> Result<RequestSource, WireError> {
        let source = self.shared.sources.service(&of.resource)?;
        Ok(RequestSource {
            is_run_id_ok: is_run_id_ok(&of.resource.attributes()),
            place: self.templates.place_of(&source),
            source,
        })
    }

    /// Reads a span of the last source. If a template fits the span, the template reads it.
    #[inline]
    fn read_ahead<'a>(
        &mut self,
        message: SpanMessage<'a>,
        is_control: bool,
        ahead: &mut Ahead<'a>,
    ) -> Result<(), WireError> {
        let source = ahead.sources.len() - 1;
        let place = ahead.sources[source].place;
        let found = match is_control {
            true => None,
            false => self.templates.read(place, message, &mut ahead.values),
        };
        let (template, span) = match found {
            Some((template, span)) => (Some(template), span),
            None => (None, message.parse()?),
        };
        self.requests.prefetch(&span);
        ahead.spans.push(Waiting {
            span,
            message,
            source,
            is_control,
            template,
            values_end: ahead.values.len(),
        });
        Ok(())
    }

    /// Processes the spans read ahead, and then learns new templates. No template is learnt before all these spans are processed, because
    /// a new template can replace one that a waiting span still needs.
    fn take_waiting(&mut self, ahead: &mut Ahead<'_>, output: &mut Output) -> Result<(), WireError> {
        let taken = self.take_each(ahead, output);
        for waiting in ahead.spans.iter().filter(|waiting| waiting.template.is_none()) {
            if !waiting.is_control {
                let RequestSource { source, place, .. } = &ahead.sources[waiting.source];
                self.templates
                    .learn(*place, waiting.message, source, &self.shared);
            }
        }
        ahead.spans.clear();
        ahead.values.clear();
        taken
    }

    fn take_each(&mut self, ahead: &mut Ahead<'_>, output: &mut Output) -> Result<(), WireError> {
        let Ahead {
            spans,
            values,
            inner,
            sources,
            slots,
            activity,
        } = ahead;
        let mut begin = 0;
        let taken = spans.iter().try_for_each(|waiting| {
            let source = &sources[waiting.source];
            let values = &values[begin..waiting.values_end];
            begin = waiting.values_end;
            if self.take_in_turn(waiting, values, source, (slots, activity), output)? {
                inner.push(*waiting);
            }
            Ok(())
        });
        self.touch(activity);
        taken
    }

    /// Passes the activity on to the placement stage.
    fn touch(&mut self, activity: &mut Option<Activity>) {
        if let Some(activity) = activity.take() {
            self.placement.touch(activity, &self.shared);
        }
    }

    /// Processes again those spans of inner work that may be invocations.
    fn take_inner(&mut self, ahead: &mut Ahead<'_>, output: &mut Output) {
        let sources = &ahead.sources;
        let inner = ahead.inner.iter();
        let spans = inner.map(|waiting| (&waiting.span, &sources[waiting.source].source));
        self.requests
            .take_inner_work(spans, &mut ahead.slots, &mut self.shared, output);
        self.announce_opened(output);
        ahead.inner.clear();
    }

    /// Processes a span. `values` are those that its template has read. Returns true if the span may be an
    /// invocation, and must be processed again at the end of the OTLP request.
    fn take_in_turn<'a>(
        &mut self,
        waiting: &Waiting<'a>,
        values: &[Found<'a>],
        of: &RequestSource,
        (slots, activity): (&mut AttributeSlots<'a>, &mut Option<Activity>),
        output: &mut Output,
    ) -> Result<bool, WireError> {
        let span = &waiting.span;
        self.shared.begin_item();
        self.shared.totals.spans += 1;
        let template = waiting.template.and_then(|id| self.templates.get(id));
        if template.is_some() {
            slots.clear();
            values.iter().for_each(|found| found.put_into(slots));
        } else if !waiting.is_control && is_inner_work(span) {
            // Inner work gets no row before the end of the request, so only the run id matters here.
            slots.fill_one(Slot::RunId, keys::RUN_ID, span.attributes())?;
        } else {
            slots.fill(span.attributes())?;
        }
        if let Some(rejection) = reject_span_of_run(span, of.is_run_id_ok && is_named_run_ok(slots)) {
            self.shared.reject_span(None, rejection.as_str());
            return Ok(false);
        }
        if waiting.is_control {
            self.touch(activity);
            self.take_control(span, slots, &of.source, output);
            return Ok(false);
        }
        let facts = self
            .requests
            .take_span(span, slots, &of.source, template, &mut self.shared, output);
        if let Some(new) = facts.activity {
            if activity.is_some_and(|earlier| earlier.instance != new.instance) {
                self.touch(activity);
            }
            *activity = Some(new.and(*activity));
        }
        if self.shared.has_opened() {
            self.touch(activity);
            self.announce_opened(output);
        }
        Ok(facts.is_taken_again)
    }
}

/// Whether the span names no run, or a run with a valid id.
fn is_named_run_ok(slots: &AttributeSlots<'_>) -> bool {
    let is_valid = |id: AnyValue<'_>| id.as_str().is_some_and(keys::is_valid_run_id);
    slots.get(Slot::RunId).is_none_or(is_valid)
}
