//! JSON gives the same protobuf as a protobuf client would have sent.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use prost::Message as _;

use super::*;

const LIMIT: usize = 64 * 1024;

fn convert(signal: Signal, json: &str) -> Result<Bytes, Refusal> {
    to_protobuf(
        signal,
        json.as_bytes(),
        LIMIT,
        &mut Budget::new(LIMIT).reservation(),
    )
}

fn traces(json: &str) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest::decode(convert(Signal::Traces, json).unwrap()).unwrap()
}

fn span_json(fields: &str) -> String {
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#)
}

fn span(fields: &str) -> opentelemetry_proto::tonic::trace::v1::Span {
    traces(&span_json(fields))
        .resource_spans
        .remove(0)
        .scope_spans
        .remove(0)
        .spans
        .remove(0)
}

#[test]
fn a_span_is_converted_completely() {
    let span = span(
        r#""traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","parentSpanId":"",
        "traceState":"a=b","name":"grün \"1\"","kind":2,"startTimeUnixNano":"1544712660000000000",
        "endTimeUnixNano":1544712661000000000,"flags":257,"droppedAttributesCount":3,
        "attributes":[{"key":"s","value":{"stringValue":"x"}},{"key":"i","value":{"intValue":"-7"}},
          {"key":"j","value":{"intValue":8}},{"key":"d","value":{"doubleValue":"-Infinity"}},
          {"key":"e","value":{"doubleValue":1}},{"key":"b","value":{"boolValue":false}},
          {"key":"y","value":{"bytesValue":"AQID_-8="}},{"key":"n","value":null},{"key":"v","value":{}},
          {"key":"l","value":{"arrayValue":{"values":[{"intValue":"1"},{"stringValue":"z"}]}}},
          {"key":"m","value":{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":true}}]}}}],
        "events":[{"timeUnixNano":"5","name":"e","attributes":[]}],
        "links":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}],
        "status":{"code":2,"message":"m"}"#,
    );
    assert_eq!(span.trace_id[..3], [0x5b, 0x8e, 0xff]);
    assert_eq!((span.span_id.len(), span.parent_span_id.len()), (8, 0));
    assert_eq!(
        (span.name.as_str(), span.kind, span.flags),
        ("grün \"1\"", 2, 257)
    );
    assert_eq!(span.start_time_unix_nano, 1_544_712_660_000_000_000);
    assert_eq!(span.end_time_unix_nano, 1_544_712_661_000_000_000);
    let values: Vec<_> = span
        .attributes
        .into_iter()
        .map(|pair| pair.value.and_then(|any| any.value))
        .collect();
    assert_eq!(values[0], Some(Any::StringValue("x".to_owned())));
    assert_eq!(
        values[1..4],
        [
            Some(Any::IntValue(-7)),
            Some(Any::IntValue(8)),
            Some(Any::DoubleValue(f64::NEG_INFINITY)),
        ]
    );
    assert_eq!(
        values[4..7],
        [
            Some(Any::DoubleValue(1.0)),
            Some(Any::BoolValue(false)),
            Some(Any::BytesValue(vec![1, 2, 3, 0xff, 0xef])),
        ]
    );
    assert_eq!(values[7..9], [None, None]);
    let Some(Any::ArrayValue(array)) = &values[9] else {
        panic!("{:?}", values[9])
    };
    assert_eq!(array.values.len(), 2);
    let Some(Any::KvlistValue(list)) = &values[10] else {
        panic!("{:?}", values[10])
    };
    assert_eq!(list.values[0].key, "k");
    assert_eq!(span.events[0].time_unix_nano, 5);
    assert_eq!(span.links[0].span_id.len(), 8);
    assert_eq!(
        span.status.map(|status| (status.code, status.message)),
        Some((2, "m".to_owned()))
    );
}

#[test]
fn snake_case_is_accepted_and_unknown_fields_are_skipped() {
    let request = traces(
        r#"{"resource_spans":[{"schema_url":"u","news":{"spans":[1,{}]},"scope_spans":[{"spans":
        [{"trace_id":"ff","start_time_unix_nano":"1","kind":null,"future":[[1],"x"]}]}]}]}"#,
    );
    assert_eq!(request.resource_spans[0].schema_url, "u");
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!(
        (span.trace_id.as_slice(), span.start_time_unix_nano, span.kind),
        (&[0xff][..], 1, 0)
    );
}

#[test]
fn an_id_that_is_not_hex_affects_only_its_row() {
    let span = span(r#""traceId":"not hex at all","spanId":"123","parentSpanId":"zz""#);
    assert_eq!(
        (span.trace_id.len(), span.span_id.len(), span.parent_span_id.len()),
        (1, 1, 1)
    );
}

#[test]
fn all_types_of_metrics_are_converted() {
    let json = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
      {"name":"g","unit":"1","gauge":{"dataPoints":[{"timeUnixNano":"9","asDouble":"NaN"},{"asInt":"-5"},{"asInt":6}]}},
      {"name":"s","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asDouble":0.5,
        "exemplars":[{"asInt":"1","traceId":"00","filteredAttributes":[]}]}]}},
      {"name":"h","histogram":{"dataPoints":[{"count":"3","sum":4.5,"bucketCounts":["1",2],"explicitBounds":[1,2.5]}]}},
      {"name":"e","exponentialHistogram":{"dataPoints":[{"count":2,"scale":-3,"zeroCount":"1",
        "positive":{"offset":-2,"bucketCounts":[1,"300"]}}]}},
      {"name":"q","summary":{"dataPoints":[{"count":1,"quantileValues":[{"quantile":0.5,"value":2}]}]}}]}]}]}"#;
    let bytes = convert(Signal::Metrics, json).unwrap();
    let mut request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    let metrics = request.resource_metrics.remove(0).scope_metrics.remove(0).metrics;
    let data: Vec<_> = metrics.into_iter().filter_map(|metric| metric.data).collect();
    let [
        Data::Gauge(gauge),
        Data::Sum(sum),
        Data::Histogram(histogram),
        Data::ExponentialHistogram(exponential),
        Data::Summary(summary),
    ] = &data[..]
    else {
        panic!("{data:?}");
    };
    assert_eq!(gauge.data_points[0].time_unix_nano, 9);
    assert!(matches!(gauge.data_points[0].value, Some(Number::AsDouble(value)) if value.is_nan()));
    assert_eq!(gauge.data_points[1].value, Some(Number::AsInt(-5)));
    assert_eq!(gauge.data_points[2].value, Some(Number::AsInt(6)));
    assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (2, true));
    assert_eq!(sum.data_points[0].exemplars.len(), 1);
    let point = &histogram.data_points[0];
    assert_eq!((point.count, point.sum), (3, Some(4.5)));
    assert_eq!(
        (&point.bucket_counts[..], &point.explicit_bounds[..]),
        (&[1, 2][..], &[1.0, 2.5][..])
    );
    let point = &exponential.data_points[0];
    assert_eq!((point.scale, point.zero_count), (-3, 1));
    let positive = point.positive.as_ref().unwrap();
    assert_eq!(
        (positive.offset, &positive.bucket_counts[..]),
        (-2, &[1, 300][..])
    );
    assert_eq!(summary.data_points[0].quantile_values[0].value, 2.0);
}

#[test]
fn logs_are_converted() {
    let json = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"b"}},{}]}]}]}"#;
    let request = ExportLogsServiceRequest::decode(convert(Signal::Logs, json).unwrap()).unwrap();
    assert_eq!(request.resource_logs[0].scope_logs[0].log_records.len(), 2);
}

#[test]
fn a_message_of_any_length_keeps_its_place() {
    for len in [0, 1, 100, 126, 127, 128, 129, 200, 16_380, 16_390] {
        let name = "n".repeat(len);
        let span = span(&format!(r#""name":"{name}","kind":3"#));
        assert_eq!((span.name, span.kind), (name, 3));
    }
}

#[test]
fn an_error_names_its_place_and_cause() {
    for (json, expected) in [
        ("[]", "invalid type: sequence, expected an object"),
        ("{", "EOF while parsing an object"),
        ("{} x", "trailing characters"),
        (r#"{"resourceSpans":{}}"#, "resourceSpans must be an array"),
        (
            r#"{"resourceSpans":[[]]}"#,
            "resourceSpans cannot be an array here",
        ),
        (
            &span_json(r#""name":5"#),
            "invalid type: integer `5`, expected a value of name",
        ),
        (
            &span_json(r#""kind":"SPAN_KIND_SERVER""#),
            "kind cannot be \"SPAN_KIND_SERVER\"",
        ),
        (
            &span_json(r#""startTimeUnixNano":"-1""#),
            "startTimeUnixNano cannot be \"-1\"",
        ),
        (
            &span_json(r#""startTimeUnixNano":1.5"#),
            "startTimeUnixNano cannot be 1.5",
        ),
        (&span_json(r#""status":7"#), "status cannot be 7"),
        (
            &span_json(r#""name":{}"#),
            "invalid type: map, expected a value of name",
        ),
        (&span_json(r#""kind":{}"#), "kind cannot be an object"),
        (&span_json(r#""kind":[1]"#), "kind cannot be an array here"),
        (&span_json(r#""kind":true"#), "kind cannot be true"),
    ] {
        match convert(Signal::Traces, json) {
            Err(Refusal::Malformed(message)) => {
                assert!(message.contains(expected), "{json}: {message}");
                assert!(message.contains(" at line 1 column "), "{message}");
            }
            other => panic!("{json}: {other:?}"),
        }
    }
}

#[test]
fn null_in_a_list_is_an_empty_message_but_no_scalar() {
    let span = span(
        r#""attributes":[{"key":"l","value":{"arrayValue":{"values":[{"intValue":1},null,{"intValue":2}]}}}],
        "events":[null],"links":null"#,
    );
    let Some(Any::ArrayValue(array)) = span.attributes[0]
        .value
        .as_ref()
        .and_then(|any| any.value.as_ref())
    else {
        panic!("{:?}", span.attributes)
    };
    let values: Vec<_> = array.values.iter().map(|any| any.value.clone()).collect();
    assert_eq!(values, [Some(Any::IntValue(1)), None, Some(Any::IntValue(2))]);
    assert_eq!((span.events.len(), span.links.len()), (1, 0));

    let point = |signal, fields: &str| {
        let json = match signal {
            Signal::Metrics => format!(
                r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{{fields}}}]}}}}]}}]}}]}}"#
            ),
            _ => format!(r#"{{"resourceSpans":[{{"resource":{{"entityRefs":[{{{fields}}}]}}}}]}}"#),
        };
        convert(signal, &json).map(|_| ())
    };
    assert_eq!(
        point(Signal::Metrics, r#""bucketCounts":null,"explicitBounds":null"#),
        Ok(())
    );
    for (signal, field, fields) in [
        (Signal::Metrics, "bucketCounts", r#""bucketCounts":["1",null,2]"#),
        (Signal::Metrics, "explicitBounds", r#""explicitBounds":[1,null]"#),
        (Signal::Traces, "idKeys", r#""idKeys":["a",null]"#),
    ] {
        let Err(Refusal::Malformed(message)) = point(signal, fields) else {
            panic!("{fields} is taken");
        };
        assert!(
            message.contains(&format!("{field} cannot contain null")),
            "{message}"
        );
    }
}

#[test]
fn unlimited_nesting_is_malformed() {
    let open = r#"{"arrayValue":{"values":["#.repeat(10_000);
    let json = span_json(&format!(r#""attributes":[{{"key":"k","value":{open}"#));
    assert!(matches!(
        convert(Signal::Traces, &json),
        Err(Refusal::Malformed(_))
    ));
}

#[test]
fn a_message_that_grows_over_the_limit_is_too_large() {
    let bounds = vec!["1"; LIMIT / 8 + 1].join(",");
    let json = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"explicitBounds":[{bounds}]}}]}}}}]}}]}}]}}"#
    );
    assert!(json.len() < LIMIT);
    assert_eq!(
        convert(Signal::Metrics, &json),
        Err(Refusal::TooLarge { limit: LIMIT })
    );
}

#[test]
fn an_integer_is_exact_in_every_notation() {
    for (json, ns) in [
        ("1760000000123456789.0", 1_760_000_000_123_456_789),
        ("1760000000123456789.000e0", 1_760_000_000_123_456_789),
        (r#""1.76e18""#, 1_760_000_000_000_000_000),
        (r#""1.760000000123456789E+18""#, 1_760_000_000_123_456_789),
        ("17600000001234567890e-1", 1_760_000_000_123_456_789),
        ("18446744073709551615", u64::MAX),
        ("0e99", 0),
        ("null", 0),
    ] {
        let span = span(&format!(r#""startTimeUnixNano":{json}"#));
        assert_eq!(span.start_time_unix_nano, ns, "{json}");
    }
    for json in [
        "1760000000123456789.5",
        "1e-1",
        "18446744073709551616",
        r#""1e20""#,
        r#""1e99999999999""#,
        "-1",
        r#""""#,
        r#"" 1""#,
        r#""1.""#,
        r#"".5""#,
        r#""0x10""#,
        r#""\ud800""#,
    ] {
        let json = span_json(&format!(r#""startTimeUnixNano":{json}"#));
        assert!(
            matches!(convert(Signal::Traces, &json), Err(Refusal::Malformed(_))),
            "{json}"
        );
    }
}

#[test]
fn half_of_a_surrogate_pair_affects_only_its_text() {
    let json = span_json(
        r#""traceId":"\ud800","name":"a\ud83d!","\udc00":1,
        "attributes":[{"key":"\udc00","value":{"stringValue":"\ud83e\udd80"}}]"#,
    );
    let whole = protobuf_of_json(Signal::Traces, json.as_bytes()).unwrap();
    let request = ExportTraceServiceRequest::decode(whole).unwrap();
    let span = &request.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((span.name.as_str(), span.trace_id.len()), ("a\u{fffd}!", 1));
    assert_eq!(span.attributes[0].key, "\u{fffd}");
    let value = span.attributes[0]
        .value
        .as_ref()
        .and_then(|any| any.value.clone());
    assert_eq!(value, Some(Any::StringValue("\u{1f980}".to_owned())));
    assert_eq!(span.dropped_attributes_count, 1);
}

#[test]
fn json_nests_as_deep_as_protobuf() {
    // Within the attribute's value, which is the fifth message, each array has two.
    let nested = |arrays: usize| {
        let (open, close) = (
            r#"{"arrayValue":{"values":["#.repeat(arrays),
            "]}}".repeat(arrays),
        );
        span_json(&format!(
            r#""attributes":[{{"key":"k","value":{open}{{"intValue":1}}{close}}}]"#
        ))
    };
    let deepest = convert(Signal::Traces, &nested(47)).unwrap();
    cctf_proto::otlp::check::check_trace_request(&deepest).unwrap();
    let Err(Refusal::Malformed(message)) = convert(Signal::Traces, &nested(48)) else {
        panic!("101 messages are taken");
    };
    assert!(message.contains("more than 100 nested messages"), "{message}");
}
