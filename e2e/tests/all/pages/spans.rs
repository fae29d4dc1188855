//! [`trace`]: the OTLP spans of one request, which passes two services and calls a peer without telemetry. Names can be chosen.

use e2e::otlp::{attribute, request_of};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

/// Names that run a script or load an image if a page uses them as markup.
pub const HOSTILE: [&str; 4] = [
    "<img src=x onerror=alert(1)>",
    "</script><script>window.injected=1</script>",
    "\" onmouseover=\"alert(2)",
    "</title><svg onload='alert(3)'>",
];

/// Ordinary names.
pub const PLAIN: [&str; 4] = ["front", "back", "edge0", "payments.example"];

const MS: u64 = 1_000_000;
/// One of this number of requests fails.
const FAILED_EVERY: u64 = 17;

fn number(key: &str, value: i64) -> KeyValue {
    let value = AnyValue {
        value: Some(Value::IntValue(value)),
    };
    KeyValue {
        key: key.to_owned(),
        value: Some(value),
        ..KeyValue::default()
    }
}

/// `names` are the names of both services, of their node, and of the peer. Ids, lengths and the status depend on `count`.
pub fn trace(names: &[&str; 4], count: u64, end_ns: u64) -> ExportTraceServiceRequest {
    let [front, back, node, peer] = *names;
    let trace_id = u128::from(count).to_be_bytes().to_vec();
    let id = |span: u64| (count * 8 + span).to_be_bytes().to_vec();
    let length = 20 * MS + count * 7919 % 61 * MS;
    let (status, error) = if count.is_multiple_of(FAILED_EVERY) {
        (503, Some(attribute("error.type", back)))
    } else {
        (200, None)
    };
    let span = |own: u64, parent: Option<u64>, kind: SpanKind, inside: u64| Span {
        trace_id: trace_id.clone(),
        span_id: id(own),
        parent_span_id: parent.map(id).unwrap_or_default(),
        name: front.to_owned(),
        kind: kind.into(),
        start_time_unix_nano: end_ns - length + inside * MS,
        end_time_unix_nano: end_ns - inside * MS,
        attributes: [
            attribute("http.request.method", "GET"),
            attribute("http.route", peer),
            attribute("url.path", "/"),
            number("http.response.status_code", status),
        ]
        .into_iter()
        .chain(error.clone())
        .collect(),
        ..Span::default()
    };
    let mut to_peer = span(4, Some(3), SpanKind::Client, 3);
    to_peer.attributes.push(attribute("server.address", peer));
    let mut to_back = span(2, Some(1), SpanKind::Client, 1);
    to_back.attributes.push(attribute("server.address", back));
    let of = |service: &str, spans: Vec<Span>| {
        let attributes = [
            ("service.name", service),
            ("service.instance.id", service),
            ("cctf.node_id", node),
        ];
        let resource = Resource {
            attributes: attributes.map(|(key, value)| attribute(key, value)).to_vec(),
            ..Resource::default()
        };
        request_of(Some(resource), spans).resource_spans
    };
    let mut resource_spans = of(front, vec![span(1, None, SpanKind::Server, 0), to_back]);
    resource_spans.extend(of(back, vec![span(3, Some(2), SpanKind::Server, 2), to_peer]));
    ExportTraceServiceRequest { resource_spans }
}
