//! The SERVER span of a request: its attributes at arrival and at the end.
//!
//! The SDK's tracer creates this span, not `tracing`, because the span's timestamps are explicit: the arrival, and the time at
//! which the slot was free again. A `tracing` span takes its own timestamps when it is created and dropped. The tracer is also
//! several times cheaper: it has no registry and no string per field. The spans below the SERVER span use `tracing`, see `inner`.

use cctf_proto::keys;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::ids;
use super::inner::Parent;
use super::planned_span::{Endpoint, Outcome};
use crate::clock::system_time;
use crate::context::Origin;
use crate::meter::Reading;

/// Maximum number of attributes of a SERVER span. The list is allocated once, with room for all of them.
const ATTRIBUTES_MAX: usize = 20;

/// A request's properties at its arrival.
pub struct Arrival<'a> {
    pub span_name: &'static str,
    pub method: &'static str,
    /// The matching route; none if the request matches no endpoint.
    pub route: Option<&'static str>,
    pub path: &'a str,
    pub query: &'a str,
    pub host: Option<&'a str>,
    /// HTTP version, such as 1.1.
    pub version: &'static str,
    pub body_bytes: u64,
    /// Time at which the last byte of the body was read.
    pub enqueue_ns: u64,
}

/// Timestamps, durations and CPU use of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// Time at which the last byte of the body was read.
    pub enqueue_ns: u64,
    /// Time at which a slot took the request; none if no slot did.
    pub start_ns: Option<u64>,
    pub end_ns: u64,
    /// CPU time and run-queue delay within the service time; none if not measured.
    pub used: Option<Reading>,
    /// Time spent waiting for the next hop.
    pub downstream_ns: u64,
    /// Part of the queue time during which a slot was free.
    pub wakeup_ns: u64,
    /// Time in the queue after a call or sleep without a slot; none if the request kept its slot.
    pub slot_wait_ns: Option<u64>,
}

/// A request's trace: its SERVER span, if recorded, and its origin.
#[derive(Debug)]
pub struct RequestTrace {
    span: Option<Span>,
    origin: Origin,
    /// For a planned request: the result that the span reports, in place of the result of the HTTP answer.
    planned: Option<Box<Outcome>>,
}

impl RequestTrace {
    /// Starts the SERVER span. Without a tracer, the origin is only passed on.
    pub fn start(tracer: Option<&SdkTracer>, origin: Origin, arrival: &Arrival<'_>) -> Self {
        let span = tracer.map(|tracer| {
            let builder = SpanBuilder {
                span_kind: Some(SpanKind::Server),
                name: arrival.span_name.into(),
                start_time: Some(system_time(arrival.enqueue_ns)),
                attributes: Some(arrival_attributes(&origin, arrival)),
                ..SpanBuilder::default()
            };
            start_span(tracer, &origin, builder)
        });
        Self {
            span,
            origin,
            planned: None,
        }
    }

    /// Starts the span of a planned request, which reports its recorded endpoint.
    pub fn start_planned(
        tracer: Option<&SdkTracer>,
        origin: Origin,
        endpoint: &Endpoint,
        body_bytes: u64,
        enqueue_ns: u64,
    ) -> Self {
        let span = tracer.map(|tracer| {
            let mut builder = endpoint.span(body_bytes);
            builder.start_time = Some(system_time(enqueue_ns));
            if let Some(attributes) = &mut builder.attributes {
                attributes.extend(run_id(&origin));
            }
            start_span(tracer, &origin, builder)
        });
        Self {
            span,
            origin,
            planned: None,
        }
    }

    /// Sets the result that the span will report.
    pub fn set_outcome(&mut self, outcome: Outcome) {
        self.planned = Some(Box::new(outcome));
    }

    /// A request without a trace.
    pub fn untraced() -> Self {
        Self {
            span: None,
            origin: Origin::default(),
            planned: None,
        }
    }

    pub fn is_recorded(&self) -> bool {
        self.span
            .as_ref()
            .is_some_and(opentelemetry::trace::Span::is_recording)
    }

    /// The parent of inner spans.
    pub fn parent(&self) -> Parent {
        match &self.span {
            Some(span) if span.is_recording() => Parent::from_span(span.span_context()),
            _ => Parent::none(),
        }
    }

    /// The context for the next hop if the call has no span of its own.
    pub fn span_context(&self) -> Option<&SpanContext> {
        self.span
            .as_ref()
            .map(opentelemetry::trace::Span::span_context)
            .or(self.origin.parent.as_ref())
    }

    /// The baggage to pass on.
    pub fn baggage(&self) -> Option<&str> {
        self.origin.baggage.as_deref()
    }

    /// Ends the span with these times.
    pub fn end(self, times: &Times, status: u16, body_bytes: u64) {
        if let Some(mut span) = self.span.filter(opentelemetry::trace::Span::is_recording) {
            match self.planned {
                None => set_result(&mut span, status, body_bytes),
                Some(outcome) => outcome.report(&mut span, Some(body_bytes)),
            }
            end_span(span, times);
        }
    }
}

fn start_span(tracer: &SdkTracer, origin: &Origin, builder: SpanBuilder) -> Span {
    match &origin.parent {
        Some(parent) => {
            let context = Context::new().with_remote_span_context(parent.clone());
            tracer.build_with_context(builder, &context)
        }
        None => ids::with_trace_id(origin.trace_id, || {
            tracer.build_with_context(builder, &ids::EMPTY_CONTEXT)
        }),
    }
}

fn arrival_attributes(origin: &Origin, arrival: &Arrival<'_>) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(ATTRIBUTES_MAX);
    attributes.push(KeyValue::new("http.request.method", arrival.method));
    match arrival.route {
        // A route without a variable part equals its path and needs no copy.
        Some(route) if route == arrival.path => attributes.push(KeyValue::new("url.path", route)),
        _ => attributes.push(KeyValue::new("url.path", arrival.path.to_owned())),
    }
    attributes.extend(arrival.route.map(|route| KeyValue::new("http.route", route)));
    if !arrival.query.is_empty() {
        attributes.push(KeyValue::new("url.query", arrival.query.to_owned()));
    }
    attributes.push(KeyValue::new("url.scheme", "http"));
    if let Some((address, port)) = arrival.host.map(split_host) {
        attributes.push(KeyValue::new("server.address", address.to_owned()));
        attributes.push(KeyValue::new("server.port", i64::from(port)));
    }
    attributes.push(KeyValue::new("network.protocol.version", arrival.version));
    attributes.push(KeyValue::new(
        "http.request.body.size",
        integer(arrival.body_bytes),
    ));
    attributes.extend(run_id(origin));
    attributes
}

fn run_id(origin: &Origin) -> Option<KeyValue> {
    let run_id = origin.run_id.as_deref()?;
    Some(KeyValue::new(keys::RUN_ID, run_id.to_owned()))
}

fn set_result(span: &mut Span, status: u16, body_bytes: u64) {
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
    span.set_attribute(KeyValue::new("http.response.body.size", integer(body_bytes)));
    if status >= 500 {
        span.set_attribute(KeyValue::new("error.type", status.to_string()));
        span.set_status(Status::error(""));
    }
}

fn end_span(mut span: Span, times: &Times) {
    if let Some(start_ns) = times.start_ns {
        span.set_attribute(KeyValue::new(keys::START_TIME_UNIX_NANO, integer(start_ns)));
        span.set_attribute(KeyValue::new(
            keys::DOWNSTREAM_TIME_NS,
            integer(times.downstream_ns),
        ));
        span.set_attribute(KeyValue::new(keys::WAKEUP_TIME_NS, integer(times.wakeup_ns)));
    }
    if let Some(waited_ns) = times.slot_wait_ns {
        span.set_attribute(KeyValue::new(keys::SLOT_WAIT_NS, integer(waited_ns)));
    }
    if let Some(used) = times.used {
        span.set_attribute(KeyValue::new(keys::CPU_TIME_NS, integer(used.cpu_ns)));
        span.set_attribute(KeyValue::new(keys::CPU_WAIT_NS, integer(used.wait_ns)));
    }
    span.end_with_timestamp(system_time(times.end_ns));
}

/// Converts to int64, because OTLP has no unsigned integers.
pub fn integer(value: u64) -> Value {
    Value::I64(i64::try_from(value).unwrap_or(i64::MAX))
}

fn split_host(host: &str) -> (&str, u16) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port.parse().unwrap_or(80)),
        _ => (host, 80),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::TraceState;

    #[test]
    fn a_host_header_has_a_name_and_a_port() {
        assert_eq!(split_host("127.0.0.1:8080"), ("127.0.0.1", 8080));
        assert_eq!(split_host("service"), ("service", 80));
        assert_eq!(split_host("[::1]:9"), ("[::1]", 9));
        assert_eq!(split_host("[::1]"), ("[::1]", 80));
    }

    #[test]
    fn without_a_tracer_the_origin_is_passed_on() {
        let parent = SpanContext::new(1.into(), 2.into(), Default::default(), true, TraceState::NONE);
        let origin = Origin {
            parent: Some(parent.clone()),
            ..Origin::default()
        };
        let arrival = Arrival {
            span_name: "GET /work",
            method: "GET",
            route: None,
            path: "/work",
            query: "",
            host: None,
            version: "1.1",
            body_bytes: 0,
            enqueue_ns: 1,
        };
        let trace = RequestTrace::start(None, origin, &arrival);
        assert_eq!(trace.span_context(), Some(&parent));
        assert!(!trace.is_recorded());
    }
}
