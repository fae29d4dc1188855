//! The SERVER span of a request: what is known at its arrival, and what is known at its end.
//!
//! It is made with the SDK's tracer and not through `tracing`: its start is the arrival's stamp and its end
//! the stamp at which the slot was given back, both taken before the span itself is touched, and a `tracing`
//! span stamps itself when it is made and dropped. (It is also several times cheaper: no registry, no
//! string per field.) Everything below it goes through `tracing`, see `inner`.

use cctf_proto::keys;
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::ids;
use super::inner::Parent;
use crate::clock::system_time;
use crate::context::Origin;
use crate::meter::Reading;

/// Attributes of a SERVER span at most, so that its list is allocated once.
const ATTRIBUTES_MAX: usize = 20;

/// What a request's head and body tell when it has arrived.
pub struct Arrival<'a> {
    /// Name of the span.
    pub span_name: &'static str,
    /// HTTP method.
    pub method: &'static str,
    /// The route that matched.
    pub route: Option<&'static str>,
    /// The path as it came.
    pub path: &'a str,
    /// The query as it came.
    pub query: &'a str,
    /// The `Host` header.
    pub host: Option<&'a str>,
    /// HTTP version, such as 1.1.
    pub version: &'static str,
    /// Bytes of the body.
    pub body_bytes: u64,
    /// When the last byte of the body had been read.
    pub enqueue_ns: u64,
}

/// When a request was worked on, and what that used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// When the last byte of the body had been read.
    pub enqueue_ns: u64,
    /// When a slot took it up; none if no slot did.
    pub start_ns: Option<u64>,
    /// When it was done.
    pub end_ns: u64,
    /// CPU time and run-queue delay within the service time; none if not measured.
    pub used: Option<Reading>,
    /// Time spent waiting for calls to others.
    pub downstream_ns: u64,
    /// Part of the time in the queue in which a slot was free.
    pub wakeup_ns: u64,
    /// Time spent in the queue again after a call or sleep without a slot; none if it kept its slot.
    pub slot_wait_ns: Option<u64>,
}

/// A request's place in its trace, recorded or not.
#[derive(Debug)]
pub struct RequestTrace {
    span: Option<Span>,
    origin: Origin,
}

impl RequestTrace {
    /// Starts the SERVER span; without a tracer the origin is only passed on.
    pub fn start(tracer: Option<&SdkTracer>, origin: Origin, arrival: &Arrival<'_>) -> Self {
        let span = tracer.map(|tracer| start_span(tracer, &origin, arrival));
        Self { span, origin }
    }

    /// A request of no trace.
    pub fn untraced() -> Self {
        Self {
            span: None,
            origin: Origin::default(),
        }
    }

    /// Whether a span is recorded.
    pub fn is_recorded(&self) -> bool {
        self.span
            .as_ref()
            .is_some_and(opentelemetry::trace::Span::is_recording)
    }

    /// What inner spans are children of.
    pub fn parent(&self) -> Parent {
        match &self.span {
            Some(span) if span.is_recording() => Parent::of(span.span_context()),
            _ => Parent::none(),
        }
    }

    /// What the next hop is told when the call to it has no span of its own.
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

    /// Ends the span with the stamps taken; ending costs nothing if it is not recorded.
    pub fn end(self, times: &Times, status: u16, body_bytes: u64) {
        if let Some(span) = self.span.filter(opentelemetry::trace::Span::is_recording) {
            end_span(span, times, status, body_bytes);
        }
    }
}

fn start_span(tracer: &SdkTracer, origin: &Origin, arrival: &Arrival<'_>) -> Span {
    let builder = SpanBuilder {
        span_kind: Some(SpanKind::Server),
        name: arrival.span_name.into(),
        start_time: Some(system_time(arrival.enqueue_ns)),
        attributes: Some(arrival_attributes(origin, arrival)),
        ..SpanBuilder::default()
    };
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
        // A route without a variable part is its own path, and needs no copy.
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
    attributes.extend(
        origin
            .run_id
            .as_deref()
            .map(|run_id| KeyValue::new(keys::RUN_ID, run_id.to_owned())),
    );
    attributes
}

fn end_span(mut span: Span, times: &Times, status: u16, body_bytes: u64) {
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status)));
    span.set_attribute(KeyValue::new("http.response.body.size", integer(body_bytes)));
    if status >= 500 {
        span.set_attribute(KeyValue::new("error.type", status.to_string()));
        span.set_status(Status::error(""));
    }
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

/// OTLP has no unsigned integers.
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
    fn a_host_header_is_a_name_and_a_port() {
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
