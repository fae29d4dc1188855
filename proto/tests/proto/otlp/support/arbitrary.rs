//! Arbitrary requests as structs of prost. They have every field of OTLP, and extreme values of each type.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z.]{1,24}",
        "\\PC{0,12}",
        "[ -~]{120,140}"
    ]
}

fn attribute_key() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-z.]{1,20}", 1 => Just("cctf.run_id".to_owned()), 1 => text()]
}

fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(any::<u8>(), length),
        1 => Just(vec![0; length]),
        1 => Just(Vec::new()),
        1 => vec(any::<u8>(), 0..20),
    ]
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1_700_000_000_000_000_000..1_800_000_000_000_000_000u64, 1 => Just(0), 1 => any::<u64>()]
}

fn int32() -> impl Strategy<Value = i32> {
    prop_oneof![4 => 0..7i32, 1 => any::<i32>()]
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        text().prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        (0..600i64).prop_map(Value::IntValue),
        any::<f64>().prop_map(Value::DoubleValue),
        vec(any::<u8>(), 0..10).prop_map(Value::BytesValue),
        any::<i32>().prop_map(Value::StringValueStrindex),
    ];
    let leaf = option::weighted(0.9, leaf).prop_map(|value| AnyValue { value });
    leaf.prop_recursive(4, 12, 3, |inner| {
        let pair = (attribute_key(), inner.clone()).prop_map(|(key, value)| key_value_of(key, Some(value)));
        prop_oneof![
            vec(inner, 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec(pair, 0..3).prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn key_value_of(key: String, value: Option<AnyValue>) -> KeyValue {
    KeyValue {
        key,
        value,
        ..Default::default()
    }
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    vec(
        (
            attribute_key(),
            option::weighted(0.9, any_value()),
            prop_oneof![9 => Just(0), 1 => any::<i32>()],
        )
            .prop_map(|(key, value, key_strindex)| KeyValue {
                key_strindex,
                ..key_value_of(key, value)
            }),
        0..4,
    )
}

prop_compose! {
    fn entity_ref()(
        schema_url in text(), kind in text(),
        id_keys in vec(text(), 0..3), description_keys in vec(text(), 0..3),
    ) -> EntityRef {
        EntityRef { schema_url, r#type: kind, id_keys, description_keys }
    }
}

prop_compose! {
    fn resource()(
        attributes in attributes(), dropped_attributes_count in 0..3u32, entity_refs in vec(entity_ref(), 0..2),
    ) -> Resource {
        Resource { attributes, dropped_attributes_count, entity_refs }
    }
}

prop_compose! {
    fn scope()(
        name in text(), version in text(), attributes in attributes(), dropped_attributes_count in any::<u32>(),
    ) -> InstrumentationScope {
        InstrumentationScope { name, version, attributes, dropped_attributes_count }
    }
}

prop_compose! {
    fn event()(
        time_unix_nano in time(), name in text(), attributes in attributes(), dropped_attributes_count in 0..3u32,
    ) -> Event {
        Event { time_unix_nano, name, attributes, dropped_attributes_count }
    }
}

prop_compose! {
    fn link()(
        trace_id in id(16), span_id in id(8), trace_state in text(), attributes in attributes(),
        dropped_attributes_count in 0..3u32, flags in any::<u32>(),
    ) -> Link {
        Link { trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags }
    }
}

prop_compose! {
    fn status()(message in text(), code in int32()) -> Status {
        Status { message, code }
    }
}

prop_compose! {
    fn span()(
        (trace_id, span_id, parent_span_id) in (id(16), id(8), id(8)),
        (trace_state, name, kind, flags) in (text(), text(), int32(), any::<u32>()),
        (start_time_unix_nano, end_time_unix_nano) in (time(), time()),
        (attributes, events, links) in (attributes(), vec(event(), 0..2), vec(link(), 0..3)),
        dropped_attributes_count in any::<u32>(),
        (dropped_events_count, dropped_links_count) in (0..3u32, 0..300u32),
        status in option::of(status()),
    ) -> Span {
        Span {
            trace_id, span_id, trace_state, parent_span_id, flags, name, kind, start_time_unix_nano,
            end_time_unix_nano, attributes, dropped_attributes_count, events, dropped_events_count, links,
            dropped_links_count, status,
        }
    }
}

prop_compose! {
    /// Any trace request.
    pub fn trace_request()(
        resource_spans in vec((
            option::weighted(0.9, resource()),
            vec((option::weighted(0.9, scope()), vec(span(), 0..3), text()), 0..3),
            text(),
        ), 0..3),
    ) -> ExportTraceServiceRequest {
        let scope_spans = |(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url };
        ExportTraceServiceRequest {
            resource_spans: resource_spans
                .into_iter()
                .map(|(resource, scopes, schema_url)| ResourceSpans {
                    resource,
                    scope_spans: scopes.into_iter().map(scope_spans).collect(),
                    schema_url,
                })
                .collect(),
        }
    }
}

prop_compose! {
    fn exemplar()(
        filtered_attributes in attributes(), time_unix_nano in time(), span_id in id(8), trace_id in id(16),
        value in option::of(prop_oneof![
            any::<f64>().prop_map(exemplar::Value::AsDouble), any::<i64>().prop_map(exemplar::Value::AsInt),
        ]),
    ) -> Exemplar {
        Exemplar { filtered_attributes, time_unix_nano, span_id, trace_id, value }
    }
}

prop_compose! {
    fn number_point()(
        attributes in attributes(), start_time_unix_nano in time(), time_unix_nano in time(),
        exemplars in vec(exemplar(), 0..2), flags in 0..3u32,
        value in option::of(prop_oneof![
            any::<f64>().prop_map(number_data_point::Value::AsDouble),
            any::<i64>().prop_map(number_data_point::Value::AsInt),
        ]),
    ) -> NumberDataPoint {
        NumberDataPoint { attributes, start_time_unix_nano, time_unix_nano, exemplars, flags, value }
    }
}

prop_compose! {
    fn histogram_point()(
        attributes in attributes(), (start_time_unix_nano, time_unix_nano) in (time(), time()), count in any::<u64>(),
        (sum, min, max) in (option::of(any::<f64>()), option::of(any::<f64>()), option::of(any::<f64>())),
        bucket_counts in vec(any::<u64>(), 0..4), explicit_bounds in vec(any::<f64>(), 0..4),
        exemplars in vec(exemplar(), 0..2), flags in any::<u32>(),
    ) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes, start_time_unix_nano, time_unix_nano, count, sum, bucket_counts, explicit_bounds, exemplars,
            flags, min, max,
        }
    }
}

prop_compose! {
    fn buckets()(offset in any::<i32>(), bucket_counts in vec(any::<u64>(), 0..4)) -> Buckets {
        Buckets { offset, bucket_counts }
    }
}

prop_compose! {
    fn exponential_point()(
        attributes in attributes(), (start_time_unix_nano, time_unix_nano) in (time(), time()), count in any::<u64>(),
        (sum, min, max) in (option::of(any::<f64>()), option::of(any::<f64>()), option::of(any::<f64>())),
        scale in any::<i32>(), zero_count in any::<u64>(), zero_threshold in any::<f64>(),
        (positive, negative) in (option::of(buckets()), option::of(buckets())),
        flags in any::<u32>(), exemplars in vec(exemplar(), 0..2),
    ) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            attributes, start_time_unix_nano, time_unix_nano, count, sum, scale, zero_count, positive, negative,
            flags, exemplars, min, max, zero_threshold,
        }
    }
}

prop_compose! {
    fn summary_point()(
        attributes in attributes(), (start_time_unix_nano, time_unix_nano) in (time(), time()), count in any::<u64>(),
        sum in any::<f64>(), flags in any::<u32>(),
        quantile_values in vec((any::<f64>(), any::<f64>()), 0..3),
    ) -> SummaryDataPoint {
        let quantile_values = quantile_values
            .into_iter()
            .map(|(quantile, value)| ValueAtQuantile { quantile, value })
            .collect();
        SummaryDataPoint { attributes, start_time_unix_nano, time_unix_nano, count, sum, quantile_values, flags }
    }
}

fn data() -> impl Strategy<Value = Data> {
    prop_oneof![
        vec(number_point(), 0..3).prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (vec(number_point(), 0..3), int32(), any::<bool>()).prop_map(
            |(data_points, aggregation_temporality, is_monotonic)| {
                Data::Sum(Sum {
                    data_points,
                    aggregation_temporality,
                    is_monotonic,
                })
            }
        ),
        (vec(histogram_point(), 0..3), int32()).prop_map(|(data_points, aggregation_temporality)| {
            Data::Histogram(Histogram {
                data_points,
                aggregation_temporality,
            })
        }),
        (vec(exponential_point(), 0..3), int32()).prop_map(|(data_points, aggregation_temporality)| {
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points,
                aggregation_temporality,
            })
        }),
        vec(summary_point(), 0..3).prop_map(|data_points| Data::Summary(Summary { data_points })),
    ]
}

prop_compose! {
    fn metric()(
        name in text(), description in text(), unit in text(), metadata in attributes(),
        data in option::weighted(0.9, data()),
    ) -> Metric {
        Metric { name, description, unit, metadata, data }
    }
}

prop_compose! {
    /// Any metrics request.
    pub fn metrics_request()(
        resource_metrics in vec((
            option::weighted(0.9, resource()),
            vec((option::weighted(0.9, scope()), vec(metric(), 0..3), text()), 0..3),
            text(),
        ), 0..3),
    ) -> ExportMetricsServiceRequest {
        let scope_metrics = |(scope, metrics, schema_url)| ScopeMetrics { scope, metrics, schema_url };
        ExportMetricsServiceRequest {
            resource_metrics: resource_metrics
                .into_iter()
                .map(|(resource, scopes, schema_url)| ResourceMetrics {
                    resource,
                    scope_metrics: scopes.into_iter().map(scope_metrics).collect(),
                    schema_url,
                })
                .collect(),
        }
    }
}

prop_compose! {
    fn log_record()(
        (time_unix_nano, observed_time_unix_nano) in (time(), time()), severity_number in int32(),
        (severity_text, event_name) in (text(), text()), body in option::of(any_value()), attributes in attributes(),
        dropped_attributes_count in 0..3u32, flags in any::<u32>(), trace_id in id(16), span_id in id(8),
    ) -> LogRecord {
        LogRecord {
            time_unix_nano, observed_time_unix_nano, severity_number, severity_text, body, attributes,
            dropped_attributes_count, flags, trace_id, span_id, event_name,
        }
    }
}

prop_compose! {
    /// Any logs request.
    pub fn logs_request()(
        resource_logs in vec((
            option::of(resource()),
            vec((option::of(scope()), vec(log_record(), 0..3), text()), 0..3),
            text(),
        ), 0..3),
    ) -> ExportLogsServiceRequest {
        let scope_logs = |(scope, log_records, schema_url)| ScopeLogs { scope, log_records, schema_url };
        ExportLogsServiceRequest {
            resource_logs: resource_logs
                .into_iter()
                .map(|(resource, scopes, schema_url)| ResourceLogs {
                    resource,
                    scope_logs: scopes.into_iter().map(scope_logs).collect(),
                    schema_url,
                })
                .collect(),
        }
    }
}
