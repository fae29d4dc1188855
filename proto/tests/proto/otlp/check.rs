//! Edge cases of the structural check: offsets of errors, repeated singular messages, maximum nesting.

use super::support::arbitrary::trace_request;
use super::support::bytes::field_around as field;
use super::support::compare::{viewed_metrics, viewed_traces};
use cctf_proto::otlp::admission::admit_trace_request;
use cctf_proto::otlp::check::{check_logs_request, check_metrics_request, check_trace_request};
use cctf_proto::otlp::metrics::{MetricData, MetricsRequest};
use cctf_proto::otlp::trace::{StatusCode, TraceRequest};
use cctf_proto::otlp::{WireError, WireErrorKind};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use prost::Message;

/// A trace request with a single span of these bytes.
fn request_of_span(span: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, span)))
}

fn error(offset: usize, kind: WireErrorKind) -> Result<(), WireError> {
    Err(WireError { offset, kind })
}

#[test]
fn an_error_has_its_offset_in_the_whole_request() {
    use WireErrorKind::*;
    // Three keys and three lengths precede the bytes of the span.
    let span_start = 6;
    let cases: &[(&[u8], usize, WireErrorKind)] = &[
        (&[0x0a, 5, 1], 1, Truncated),
        (&[0x39, 1, 2, 3], 1, Truncated),
        (&[0x85, 0x01, 1], 2, Truncated),
        (&[0x30, 0x80], 1, Truncated),
        (
            &[0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            1,
            VarintOverflow,
        ),
        (
            &[
                0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00,
            ],
            1,
            VarintOverflow,
        ),
        (&[0x30, 1, 0x02, 0], 3, InvalidFieldNumber),
        (&[0xff, 0xff, 0xff, 0xff, 0x1f, 0], 0, InvalidFieldNumber),
        (&[0xa6, 0x06, 0], 2, InvalidWireType),
        (&[0x30, 1, 0x08, 1], 2, WrongWireType),
        (&[0x30, 1, 0x0e, 1], 2, WrongWireType),
        (&[0x4a, 2, 0x10, 1], 2, WrongWireType),
        (&[0xa4, 0x06], 2, UnexpectedEndGroup),
        (&[0xa3, 0x06, 0xac, 0x06], 4, UnexpectedEndGroup),
        (&[0xa3, 0x06, 0x08], 3, Truncated),
        (&[0x2a, 2, 0xc3, 0x28], 2, InvalidUtf8),
        (
            &[0x4a, 4, 0x12, 2, 0x0a, 0, 0x4a, 3, 0x0a, 1, 0xff],
            10,
            InvalidUtf8,
        ),
        (&[0x4a, 4, 0x12, 0, 0x12, 0], 4, MessageInPieces),
    ];
    for &(span, offset, kind) in cases {
        let request = request_of_span(span);
        assert_eq!(
            check_trace_request(&request),
            error(span_start + offset, kind),
            "{span:02x?}"
        );
        assert_eq!(
            admit_trace_request(&request).map(drop),
            error(span_start + offset, kind),
            "{span:02x?}"
        );
        if kind != MessageInPieces {
            assert!(
                ExportTraceServiceRequest::decode(&request[..]).is_err(),
                "{span:02x?}"
            );
        }
    }
    assert_eq!(
        WireError {
            offset: 17,
            kind: InvalidUtf8
        }
        .to_string(),
        "a string that is not UTF-8 at byte 17 of the request"
    );
}

#[test]
fn the_length_of_a_value_is_read_to_its_end() {
    // If only one byte of the length 1282 were read, it would be 130, which is the length of the rest.
    let text = [&[0x0a, 128][..], &[b'a'; 128]].concat();
    let request = request_of_span(&field(9, &[&[0x0a, 0, 0x12, 0x82][..], &text].concat()));
    let expected = error(request.len() - text.len() - 1, WireErrorKind::Truncated);
    assert_eq!(check_trace_request(&request), expected);
    assert_eq!(admit_trace_request(&request).map(drop), expected);
}

#[test]
fn a_request_cut_anywhere_is_accepted_exactly_when_prost_does() {
    let mut runner = TestRunner::deterministic();
    let strategy = trace_request().prop_filter("of some size", |request| request.encoded_len() > 400);
    for _ in 0..4 {
        let bytes = strategy.new_tree(&mut runner).unwrap().current().encode_to_vec();
        for length in 0..=bytes.len().min(5000) {
            let cut = &bytes[..length];
            let checked = check_trace_request(cut);
            assert_eq!(
                checked.is_ok(),
                ExportTraceServiceRequest::decode(cut).is_ok(),
                "{length}"
            );
            assert!(checked.is_ok_and(|()| true) || checked.is_err_and(|error| error.offset <= length));
            assert_eq!(
                admit_trace_request(cut).map(drop).is_ok(),
                checked.is_ok(),
                "{length}"
            );
            let _ = (viewed_traces(cut), viewed_metrics(cut));
        }
    }
}

/// `depth` nested values. Each is an array with one element.
fn nested_arrays(depth: usize) -> Vec<u8> {
    (0..depth).fold(Vec::new(), |value, _| field(5, &field(1, &value)))
}

#[test]
fn messages_nest_as_deep_as_prost_allows() {
    let mut deepest = 0;
    for depth in 0..60 {
        let attribute = field(9, &field(2, &nested_arrays(depth)));
        let request = request_of_span(&attribute);
        let checked = check_trace_request(&request);
        assert_eq!(
            checked.is_ok(),
            ExportTraceServiceRequest::decode(&request[..]).is_ok(),
            "{depth}"
        );
        assert_eq!(admit_trace_request(&request).map(drop), checked, "{depth}");
        match checked {
            Ok(()) => deepest = depth,
            Err(error) => assert_eq!(error.kind, WireErrorKind::NestedTooDeep),
        }
        // An unknown field inside of the innermost value counts as a further level.
        for innermost in [&[0x18, 1][..], &[0x48, 1], &[0x4a, 0], &[0x4b, 0x4c]] {
            let value = (0..depth).fold(innermost.to_vec(), |value, _| field(5, &field(1, &value)));
            let request = request_of_span(&field(9, &field(2, &value)));
            let expected = ExportTraceServiceRequest::decode(&request[..]).is_ok();
            assert_eq!(
                check_trace_request(&request).is_ok(),
                expected,
                "{depth} {innermost:02x?}"
            );
            assert_eq!(
                admit_trace_request(&request).is_ok(),
                expected,
                "{depth} {innermost:02x?}"
            );
        }
    }
    assert_eq!(deepest, 47);
}

#[test]
fn key_value_lists_nest_as_deep_as_prost_allows() {
    for depth in 20..40 {
        let last_value = [field(1, b"text"), vec![0x18, 1], field(5, &[])];
        for innermost in last_value
            .map(|value| [field(1, b"key"), field(2, &value)].concat())
            .iter()
            .chain([&vec![]])
        {
            let pair = (0..depth).fold(innermost.clone(), |pair, _| field(2, &field(6, &field(1, &pair))));
            let request = request_of_span(&field(9, &pair));
            let expected = ExportTraceServiceRequest::decode(&request[..]).is_ok();
            assert_eq!(
                check_trace_request(&request).is_ok(),
                expected,
                "{depth} {innermost:02x?}"
            );
            assert_eq!(
                admit_trace_request(&request).is_ok(),
                expected,
                "{depth} {innermost:02x?}"
            );
        }
    }
}

#[test]
fn groups_nest_as_deep_as_prost_allows() {
    for depth in 90..110 {
        // `depth` nested groups with field number 20.
        let groups = [[0xa3, 0x01].repeat(depth), [0xa4, 0x01].repeat(depth)].concat();
        for request in [groups.clone(), request_of_span(&groups)] {
            let decoded = ExportTraceServiceRequest::decode(&request[..]);
            assert_eq!(check_trace_request(&request).is_ok(), decoded.is_ok(), "{depth}");
            let _ = viewed_traces(&request);
        }
    }
    // A check that uses recursion would overflow the stack at this depth.
    let endless = [0xa3, 0x01].repeat(1_000_000);
    assert!(check_trace_request(&endless).is_err());
    assert!(
        TraceRequest::new(&endless)
            .resource_spans()
            .all(|group| group.is_err())
    );
}

#[test]
fn several_occurrences_of_resource_scope_and_status_are_merged() {
    let pair = |key: &str| field(1, key.as_bytes());
    let resource = |key: &str| field(1, &field(1, &pair(key)));
    let scope = |parts: &[u8]| field(1, parts);
    let status = |parts: &[u8]| field(15, parts);
    let span = [
        status(&field(2, b"first")),
        status(&[0x18, 2]),
        status(&field(2, b"last")),
    ]
    .concat();
    let scope_spans = [
        scope(&field(1, b"name")),
        field(2, &span),
        scope(&[field(2, b"1.0"), field(3, &pair("a"))].concat()),
        scope(&field(3, &pair("b"))),
    ];
    let resource_spans = [
        resource("a"),
        field(2, &scope_spans.concat()),
        field(9, b"unknown"),
        resource("b"),
        resource("c"),
    ];
    let bytes = field(1, &resource_spans.concat());
    check_trace_request(&bytes).unwrap();

    let group = TraceRequest::new(&bytes)
        .resource_spans()
        .next()
        .unwrap()
        .unwrap();
    let keys: Vec<_> = group
        .resource
        .attributes()
        .iter()
        .map(|pair| pair.unwrap().key)
        .collect();
    assert_eq!(keys, ["a", "b", "c"]);
    assert_eq!(
        *group.resource.bytes(),
        [pair("a"), pair("b"), pair("c")]
            .map(|pair| field(1, &pair))
            .concat()
    );

    let scope = group.scope_spans().next().unwrap().unwrap();
    assert_eq!((scope.scope.name, scope.scope.version), ("name", "1.0"));
    let keys: Vec<_> = scope
        .scope
        .attributes()
        .iter()
        .map(|pair| pair.unwrap().key)
        .collect();
    assert_eq!(keys, ["a", "b"]);

    let span = scope.spans().next().unwrap().unwrap();
    assert_eq!(
        (span.status.code, span.status.message),
        (StatusCode::Error, "last")
    );
}

#[test]
fn several_occurrences_that_a_view_cannot_merge_are_refused() {
    let array = field(5, &[]);
    let list = field(6, &[]);
    let attribute = |value: &[u8]| request_of_span(&field(9, &field(2, value)));
    let metric = |data: &[u8]| field(1, &field(2, &field(2, data)));
    let gauge = field(5, &[]);
    let sum = field(7, &[0x10, 2]);

    let pieces = |result: Result<(), WireError>| {
        result.is_err_and(|error| error.kind == WireErrorKind::MessageInPieces)
    };
    assert!(pieces(check_trace_request(&attribute(&array.repeat(2)))));
    assert!(pieces(check_trace_request(&attribute(&list.repeat(2)))));
    assert!(pieces(check_metrics_request(&metric(&gauge.repeat(2)))));

    // Several fields of a oneof are accepted. The last one counts.
    check_trace_request(&attribute(&[array, list].concat())).unwrap();
    let bytes = metric(&[gauge, sum].concat());
    check_metrics_request(&bytes).unwrap();
    let group = MetricsRequest::new(&bytes)
        .resource_metrics()
        .next()
        .unwrap()
        .unwrap();
    let scope = group.scope_metrics().next().unwrap().unwrap();
    assert!(matches!(
        scope.metrics().next().unwrap().unwrap().data,
        MetricData::Sum { .. }
    ));

    // Messages without a view are accepted, too.
    let body = field(5, &field(1, b"text"));
    let logs = field(1, &field(2, &field(2, &body.repeat(2))));
    check_logs_request(&logs).unwrap();
    ExportLogsServiceRequest::decode(&logs[..]).unwrap();
    let buckets = [field(8, &[0x08, 2]), field(8, &[0x12, 1, 7])].concat();
    let exponential = metric(&field(10, &field(1, &buckets)));
    check_metrics_request(&exponential).unwrap();
    ExportMetricsServiceRequest::decode(&exponential[..]).unwrap();
}

#[test]
fn fields_may_come_in_any_order_and_more_than_once() {
    let pair = |key: &str| field(9, &field(1, key.as_bytes()));
    let link = |id: u8| field(13, &field(1, &[id; 16]));
    let span = [
        link(1),
        pair("a"),
        field(5, b"old name"),
        vec![0x85, 0x01, 1, 3, 0, 0],
        link(2),
        vec![0x30, 3],
        pair("b"),
        field(2, &[2; 8]),
        field(5, b"name"),
        vec![0x30, 0x82, 0x80, 0x00],
        link(3),
        field(1, &[1; 16]),
        vec![0x50, 4],
    ]
    .concat();
    let bytes = request_of_span(&span);
    check_trace_request(&bytes).unwrap();
    let group = TraceRequest::new(&bytes)
        .resource_spans()
        .next()
        .unwrap()
        .unwrap();
    let scope = group.scope_spans().next().unwrap().unwrap();
    let span = scope.spans().next().unwrap().unwrap();
    assert_eq!(
        (span.name, span.trace_id, span.span_id),
        ("name", &[1; 16][..], &[2; 8][..])
    );
    assert_eq!(
        (span.kind as u8, span.flags, span.dropped_attributes_count),
        (2, 0x301, 4)
    );
    assert_eq!(span.parent_is_remote(), Some(true));
    let keys: Vec<_> = span.attributes().iter().map(|pair| pair.unwrap().key).collect();
    assert_eq!(keys, ["a", "b"]);
    let linked: Vec<_> = span.links().map(|link| link.unwrap().trace_id[0]).collect();
    assert_eq!(linked, [1, 2, 3]);
}

#[test]
fn an_iterator_stops_after_its_first_error() {
    let span = [field(9, &[0xff]), field(9, &field(1, b"a"))].concat();
    let bytes = request_of_span(&span);
    let group = TraceRequest::new(&bytes)
        .resource_spans()
        .next()
        .unwrap()
        .unwrap();
    let scope = group.scope_spans().next().unwrap().unwrap();
    let span = scope.spans().next().unwrap().unwrap();
    let attributes: Vec<_> = span.attributes().iter().collect();
    assert!(matches!(attributes[..], [Err(_)]));
    assert!(span.attributes().get("a").is_err());
}
