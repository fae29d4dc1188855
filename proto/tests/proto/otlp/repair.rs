//! Repair of requests with texts that are not UTF-8. Only these texts are lost, and a flag of their span or resource reports
//! the loss.

use cctf_proto::otlp::WireErrorKind;
use cctf_proto::otlp::check::{check_metrics_request, check_trace_request};
use cctf_proto::otlp::repair::{Request, repair};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;

use super::support::arbitrary::{metrics_request, trace_request};
use super::support::bytes::damage;

/// Placeholder for bytes that are not UTF-8.
const MARK: &[u8] = b"<not text>";

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn span(name: &str, attributes: Vec<KeyValue>) -> Span {
    Span {
        name: name.to_owned(),
        attributes,
        dropped_attributes_count: 2,
        ..Span::default()
    }
}

fn spoilt(request: &ExportTraceServiceRequest) -> Vec<u8> {
    let mut bytes = request.encode_to_vec();
    while let Some(at) = bytes.windows(MARK.len()).position(|window| window == MARK) {
        bytes[at..at + MARK.len()].fill(0xff);
    }
    bytes
}

fn text(attribute: &KeyValue) -> &str {
    match attribute.value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_unreadable_text_is_lost_and_its_span_reports_it() {
    let resource = Resource {
        attributes: vec![attribute("host.name", "n<not text>0")],
        ..Resource::default()
    };
    let spans = vec![
        span("good", vec![attribute("url.path", "/ä")]),
        span(
            "bad",
            vec![
                attribute("k", "a<not text>b<not text>"),
                attribute("<not text>", "v"),
            ],
        ),
        span("<not text>", Vec::new()),
    ];
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    };
    let bytes = spoilt(&request);
    assert_eq!(
        check_trace_request(&bytes).unwrap_err().kind,
        WireErrorKind::InvalidUtf8
    );
    let repaired = repair(Request::Traces, &bytes).unwrap();
    check_trace_request(&repaired).unwrap();
    let repaired = ExportTraceServiceRequest::decode(&*repaired).unwrap();
    let of_resource = &repaired.resource_spans[0];
    let resource = of_resource.resource.as_ref().unwrap();
    assert_eq!(
        (text(&resource.attributes[0]), resource.dropped_attributes_count),
        ("n\u{fffd}0", 1)
    );
    let spans = &of_resource.scope_spans[0].spans;
    assert_eq!(spans[0], request.resource_spans[0].scope_spans[0].spans[0]);
    assert_eq!(
        (text(&spans[1].attributes[0]), &*spans[1].attributes[1].key),
        ("a\u{fffd}b\u{fffd}", "\u{fffd}")
    );
    assert_eq!(spans[2].name, "\u{fffd}");
    let dropped: Vec<u32> = spans.iter().map(|span| span.dropped_attributes_count).collect();
    assert_eq!(dropped, [2, 3, 3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_can_be_read_is_written_again_byte_by_byte(request in trace_request()) {
        let bytes = request.encode_to_vec();
        prop_assert_eq!(repair(Request::Traces, &bytes), Ok(bytes));
    }

    #[test]
    fn after_a_repair_no_text_of_damaged_requests_is_unreadable(
        traces in trace_request(), metrics in metrics_request(), damages in vec(damage(), 1..6),
    ) {
        let mut bytes = [traces.encode_to_vec(), metrics.encode_to_vec()];
        for bytes in &mut bytes {
            damages.iter().for_each(|damage| damage.apply(bytes));
        }
        let checked = [
            repair(Request::Traces, &bytes[0]).and_then(|bytes| check_trace_request(&bytes)),
            repair(Request::Metrics, &bytes[1]).and_then(|bytes| check_metrics_request(&bytes)),
        ];
        for checked in checked {
            prop_assert!(checked.is_ok() || checked.is_err_and(|error| error.kind != WireErrorKind::InvalidUtf8));
        }
    }
}
