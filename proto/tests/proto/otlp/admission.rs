//! Admission: the rows that are rejected, the reasons, and the message for the client.

use cctf_proto::otlp::admission::{
    Rejection, admit_metrics_request, admit_trace_request, is_run_id_ok, reject_span,
};
use cctf_proto::otlp::trace::TraceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Summary,
    SummaryDataPoint,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue {
        value: Some(Value::StringValue(value.into())),
    });
    KeyValue {
        key: key.into(),
        value,
        ..Default::default()
    }
}

fn good_span() -> Span {
    Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        start_time_unix_nano: 1_760_000_000_000_000_000,
        end_time_unix_nano: 1_760_000_000_000_000_001,
        ..Default::default()
    }
}

fn span(change: impl FnOnce(&mut Span)) -> Span {
    let mut span = good_span();
    change(&mut span);
    span
}

fn request(resource: Vec<KeyValue>, spans: Vec<Span>) -> Vec<u8> {
    let resource = Some(Resource {
        attributes: resource,
        ..Default::default()
    });
    let scope_spans = vec![ScopeSpans {
        spans,
        ..Default::default()
    }];
    let resource_spans = vec![ResourceSpans {
        resource,
        scope_spans,
        ..Default::default()
    }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// The reasons for the request's only row, by admission and by the function that the pipeline calls.
fn reason(resource: Vec<KeyValue>, span: Span) -> Option<Rejection> {
    let bytes = request(resource, vec![span]);
    let admission = admit_trace_request(&bytes).unwrap();
    let group = TraceRequest::new(&bytes)
        .resource_spans()
        .next()
        .unwrap()
        .unwrap();
    let view = group
        .scope_spans()
        .next()
        .unwrap()
        .unwrap()
        .spans()
        .next()
        .unwrap()
        .unwrap();
    let asked = reject_span(&view, is_run_id_ok(&group.resource.attributes()));
    assert_eq!(admission.first.map(|(_, reason)| reason), asked);
    assert_eq!(admission.rows, 1);
    assert_eq!(admission.rejected_total(), u64::from(asked.is_some()));
    asked
}

#[test]
fn each_reason_rejects_its_span() {
    let cases = [
        ("trace_id_length", span(|span| span.trace_id = vec![1; 8])),
        ("trace_id_length", span(|span| span.trace_id.clear())),
        ("trace_id_length", span(|span| span.trace_id.push(1))),
        ("span_id_length", span(|span| span.span_id = vec![1; 16])),
        ("span_id_length", span(|span| span.span_id.clear())),
        ("trace_id_zero", span(|span| span.trace_id = vec![0; 16])),
        ("span_id_zero", span(|span| span.span_id = vec![0; 8])),
        (
            "parent_span_id_length",
            span(|span| span.parent_span_id = vec![1; 7]),
        ),
        ("missing_time", span(|span| span.start_time_unix_nano = 0)),
        ("missing_time", span(|span| span.end_time_unix_nano = 0)),
        (
            "time_out_of_range",
            span(|span| span.start_time_unix_nano = 1 << 63),
        ),
        (
            "time_out_of_range",
            span(|span| span.end_time_unix_nano = u64::MAX),
        ),
        (
            "invalid_run_id",
            span(|span| span.attributes = vec![text("cctf.run_id", "../../etc")]),
        ),
    ];
    for (name, span) in cases {
        assert_eq!(
            reason(vec![], span.clone()).map(Rejection::as_str),
            Some(name),
            "{span:?}"
        );
    }
}

#[test]
fn unusual_but_usable_rows_are_accepted() {
    let cases = [
        good_span(),
        span(|span| span.parent_span_id = vec![0; 8]),
        span(|span| span.parent_span_id = vec![3; 8]),
        span(|span| span.end_time_unix_nano = 1),
        span(|span| span.end_time_unix_nano = i64::MAX as u64),
        span(|span| span.trace_id = [vec![0; 15], vec![1]].concat()),
        span(|span| span.trace_id = [vec![1], vec![0; 15]].concat()),
        span(|span| span.attributes = vec![text("cctf.run_id", "20261123-104500")]),
        span(|span| span.attributes = vec![text("cctf.run_ix", "../../etc"), text("", "/")]),
    ];
    for span in cases {
        assert_eq!(reason(vec![], span.clone()), None, "{span:?}");
    }
}

#[test]
fn run_ids_of_span_and_resource_are_checked_in_every_encoding() {
    let long = "x".repeat(129);
    for bad in ["", ".", "../../etc", "a b", "ä", &long] {
        let run_id = || {
            vec![
                text("service.name", "a"),
                text("cctf.run_id", bad),
                text("z", "z"),
            ]
        };
        assert_eq!(
            reason(run_id(), good_span()),
            Some(Rejection::InvalidRunId),
            "{bad}"
        );
        let own = span(|span| span.attributes = run_id());
        assert_eq!(
            reason(vec![text("cctf.run_id", "good")], own),
            Some(Rejection::InvalidRunId),
            "{bad}"
        );
    }
    let longest = "x".repeat(128);
    assert_eq!(reason(vec![text("cctf.run_id", &longest)], good_span()), None);

    let of_value = |value: Option<Value>| {
        let value = Some(AnyValue { value });
        span(|span| {
            span.attributes = vec![KeyValue {
                key: "cctf.run_id".into(),
                value,
                ..Default::default()
            }]
        })
    };
    for value in [
        None,
        Some(Value::IntValue(1)),
        Some(Value::BytesValue(b"a".to_vec())),
        Some(Value::BoolValue(true)),
    ] {
        assert_eq!(
            reason(vec![], of_value(value.clone())),
            Some(Rejection::InvalidRunId),
            "{value:?}"
        );
    }
}

#[test]
fn a_rejected_row_affects_no_other_and_the_client_gets_the_reason() {
    let spans = vec![
        good_span(),
        span(|span| span.trace_id.clear()),
        good_span(),
        span(|span| span.end_time_unix_nano = 0),
        span(|span| span.trace_id.clear()),
    ];
    let admission = admit_trace_request(&request(vec![], spans)).unwrap();
    assert_eq!((admission.rows, admission.rejected_total()), (5, 3));
    let reasons: Vec<_> = admission
        .reasons()
        .map(|(reason, count)| (reason.as_str(), count))
        .collect();
    assert_eq!(reasons, [("trace_id_length", 2), ("missing_time", 1)]);
    assert_eq!(
        admission.message().unwrap(),
        "3 of 5 rows cannot be used: trace_id_length 2, missing_time 1; \
         the first, at index 1: a trace id must have 16 bytes"
    );
}

#[test]
fn a_valid_or_empty_request_has_no_message() {
    for bytes in [
        vec![],
        request(vec![], vec![]),
        request(vec![], vec![good_span()]),
    ] {
        let admission = admit_trace_request(&bytes).unwrap();
        assert_eq!((admission.rejected_total(), admission.message()), (0, None));
    }
}

#[test]
fn data_points_of_every_type_need_a_time_and_a_valid_run_id() {
    let times = [1, 0, u64::MAX];
    let data = [
        Data::Gauge(Gauge {
            data_points: times
                .map(|time_unix_nano| NumberDataPoint {
                    time_unix_nano,
                    ..Default::default()
                })
                .to_vec(),
        }),
        Data::Histogram(Histogram {
            data_points: times
                .map(|time_unix_nano| HistogramDataPoint {
                    time_unix_nano,
                    ..Default::default()
                })
                .to_vec(),
            ..Default::default()
        }),
        Data::Summary(Summary {
            data_points: times
                .map(|time_unix_nano| SummaryDataPoint {
                    time_unix_nano,
                    ..Default::default()
                })
                .to_vec(),
        }),
    ];
    let metrics = |run_id: &str| {
        let metrics = data
            .iter()
            .map(|data| Metric {
                data: Some(data.clone()),
                ..Default::default()
            })
            .collect();
        let resource = Resource {
            attributes: vec![text("cctf.run_id", run_id)],
            ..Default::default()
        };
        let resource_metrics = vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics {
                metrics,
                ..Default::default()
            }],
            ..Default::default()
        }];
        admit_metrics_request(&ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()).unwrap()
    };
    let reasons = |run_id: &str| -> Vec<_> {
        metrics(run_id)
            .reasons()
            .map(|(reason, count)| (reason.as_str(), count))
            .collect()
    };
    assert_eq!(metrics("good").rows, 9);
    assert_eq!(reasons("good"), [("missing_time", 3), ("time_out_of_range", 3)]);
    assert_eq!(
        reasons(".."),
        [
            ("missing_time", 3),
            ("time_out_of_range", 3),
            ("invalid_run_id", 3)
        ]
    );
}

#[test]
fn every_reason_has_its_own_name_and_number() {
    for (number, reason) in Rejection::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, number);
        assert_eq!(
            Rejection::ALL
                .iter()
                .filter(|other| other.as_str() == reason.as_str())
                .count(),
            1
        );
        assert!(!reason.explanation().is_empty());
    }
}
