//! Converts views to structs of prost.

use cctf_proto::otlp::WireError;
use cctf_proto::otlp::common::{self as view, AnyValue as ViewValue, Attributes};
use cctf_proto::otlp::metrics::{
    DistributionDataPoint, MetricData, MetricsRequest, Number, NumberDataPoint as NumberView, Temporality,
};
use cctf_proto::otlp::trace::{self, SpanKind, StatusCode, TraceRequest};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use super::reduce::reduce_attributes;

/// The trace request, read through the views.
pub fn viewed_traces(bytes: &[u8]) -> Result<ExportTraceServiceRequest, WireError> {
    let mut resource_spans = Vec::new();
    for group in TraceRequest::new(bytes).resource_spans() {
        let group = group?;
        let mut scope_spans = Vec::new();
        for scope in group.scope_spans() {
            let scope = scope?;
            let spans = scope
                .spans()
                .map(|span| viewed_span(&span?))
                .collect::<Result<_, _>>()?;
            scope_spans.push(ScopeSpans {
                scope: Some(viewed_scope(&scope.scope)?),
                spans,
                schema_url: scope.schema_url.into(),
            });
        }
        resource_spans.push(ResourceSpans {
            resource: Some(viewed_resource(&group.resource)?),
            scope_spans,
            schema_url: group.schema_url.into(),
        });
    }
    Ok(ExportTraceServiceRequest { resource_spans })
}

/// The metrics request, read through the views.
pub fn viewed_metrics(bytes: &[u8]) -> Result<ExportMetricsServiceRequest, WireError> {
    let mut resource_metrics = Vec::new();
    for group in MetricsRequest::new(bytes).resource_metrics() {
        let group = group?;
        let mut scope_metrics = Vec::new();
        for scope in group.scope_metrics() {
            let scope = scope?;
            let mut metrics = Vec::new();
            for metric in scope.metrics() {
                let metric = metric?;
                metrics.push(Metric {
                    name: metric.name.into(),
                    unit: metric.unit.into(),
                    data: viewed_data(&metric.data)?,
                    ..Default::default()
                });
            }
            scope_metrics.push(ScopeMetrics {
                scope: Some(viewed_scope(&scope.scope)?),
                metrics,
                schema_url: scope.schema_url.into(),
            });
        }
        resource_metrics.push(ResourceMetrics {
            resource: Some(viewed_resource(&group.resource)?),
            scope_metrics,
            schema_url: group.schema_url.into(),
        });
    }
    Ok(ExportMetricsServiceRequest { resource_metrics })
}

fn viewed_resource(resource: &view::Resource<'_>) -> Result<Resource, WireError> {
    let attributes = viewed_attributes(&resource.attributes())?;
    // The bytes encode the same resource, even if it occurred several times.
    if let Ok(mut again) = Resource::decode(&*resource.bytes()) {
        reduce_attributes(&mut again.attributes);
        let whole = Resource {
            attributes: attributes.clone(),
            ..Default::default()
        };
        let again = Resource {
            attributes: again.attributes,
            ..Default::default()
        };
        assert_eq!(whole.encode_to_vec(), again.encode_to_vec());
    }
    Ok(Resource {
        attributes,
        ..Default::default()
    })
}

fn viewed_scope(scope: &view::InstrumentationScope<'_>) -> Result<InstrumentationScope, WireError> {
    Ok(InstrumentationScope {
        name: scope.name.into(),
        version: scope.version.into(),
        attributes: viewed_attributes(&scope.attributes())?,
        ..Default::default()
    })
}

fn viewed_attributes(attributes: &Attributes<'_>) -> Result<Vec<KeyValue>, WireError> {
    let mut pairs = Vec::new();
    for attribute in attributes.iter() {
        let attribute = attribute?;
        pairs.push(KeyValue {
            key: attribute.key.into(),
            value: Some(viewed_value(&attribute.value)?),
            ..Default::default()
        });
    }
    Ok(pairs)
}

fn viewed_value(value: &ViewValue<'_>) -> Result<AnyValue, WireError> {
    let value = match value {
        ViewValue::Empty => None,
        ViewValue::String(text) => Some(Value::StringValue((*text).into())),
        ViewValue::Bool(value) => Some(Value::BoolValue(*value)),
        ViewValue::Int(value) => Some(Value::IntValue(*value)),
        ViewValue::Double(value) => Some(Value::DoubleValue(*value)),
        ViewValue::Bytes(bytes) => Some(Value::BytesValue(bytes.to_vec())),
        ViewValue::Array(array) => {
            let values = array
                .iter()
                .map(|value| viewed_value(&value?))
                .collect::<Result<_, _>>()?;
            Some(Value::ArrayValue(ArrayValue { values }))
        }
        ViewValue::KeyValueList(list) => Some(Value::KvlistValue(KeyValueList {
            values: viewed_attributes(list)?,
        })),
    };
    Ok(AnyValue { value })
}

fn viewed_span(span: &trace::Span<'_>) -> Result<Span, WireError> {
    let kind = match span.kind {
        SpanKind::Unspecified => 0,
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    };
    let code = match span.status.code {
        StatusCode::Unset => 0,
        StatusCode::Ok => 1,
        StatusCode::Error => 2,
    };
    Ok(Span {
        trace_id: span.trace_id.to_vec(),
        span_id: span.span_id.to_vec(),
        parent_span_id: span.parent_span_id.to_vec(),
        trace_state: span.trace_state.into(),
        name: span.name.into(),
        kind,
        start_time_unix_nano: span.start_time_unix_nano,
        end_time_unix_nano: span.end_time_unix_nano,
        attributes: viewed_attributes(&span.attributes())?,
        dropped_attributes_count: span.dropped_attributes_count,
        dropped_links_count: span.dropped_links_count,
        events: span
            .events()
            .map(|event| viewed_event(&event?))
            .collect::<Result<_, _>>()?,
        links: span
            .links()
            .map(|link| viewed_link(&link?))
            .collect::<Result<_, _>>()?,
        status: Some(Status {
            message: span.status.message.into(),
            code,
        }),
        flags: span.flags,
        ..Default::default()
    })
}

fn viewed_event(event: &trace::Event<'_>) -> Result<Event, WireError> {
    Ok(Event {
        name: event.name.into(),
        attributes: viewed_attributes(&event.attributes())?,
        ..Default::default()
    })
}

fn viewed_link(link: &trace::Link<'_>) -> Result<Link, WireError> {
    Ok(Link {
        trace_id: link.trace_id.to_vec(),
        span_id: link.span_id.to_vec(),
        trace_state: link.trace_state.into(),
        attributes: viewed_attributes(&link.attributes())?,
        flags: link.flags,
        ..Default::default()
    })
}

fn viewed_data(data: &MetricData<'_>) -> Result<Option<Data>, WireError> {
    Ok(Some(match data {
        MetricData::Empty => return Ok(None),
        MetricData::Gauge(points) => Data::Gauge(Gauge {
            data_points: points
                .iter()
                .map(|point| viewed_number(&point?))
                .collect::<Result<_, _>>()?,
        }),
        MetricData::Sum {
            points,
            temporality,
            is_monotonic,
        } => Data::Sum(Sum {
            data_points: points
                .iter()
                .map(|point| viewed_number(&point?))
                .collect::<Result<_, _>>()?,
            aggregation_temporality: viewed_temporality(*temporality),
            is_monotonic: *is_monotonic,
        }),
        MetricData::Histogram { points, temporality } => Data::Histogram(Histogram {
            data_points: points
                .iter()
                .map(|point| viewed_distribution(&point?))
                .collect::<Result<_, _>>()?,
            aggregation_temporality: viewed_temporality(*temporality),
        }),
        MetricData::ExponentialHistogram { points, temporality } => {
            let points = points.iter().map(|point| {
                let point = viewed_distribution(&point?)?;
                Ok(ExponentialHistogramDataPoint {
                    attributes: point.attributes,
                    start_time_unix_nano: point.start_time_unix_nano,
                    time_unix_nano: point.time_unix_nano,
                    count: point.count,
                    sum: point.sum,
                    flags: point.flags,
                    ..Default::default()
                })
            });
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: points.collect::<Result<_, _>>()?,
                aggregation_temporality: viewed_temporality(*temporality),
            })
        }
        MetricData::Summary(points) => {
            let points = points.iter().map(|point| {
                let point = viewed_distribution(&point?)?;
                Ok(SummaryDataPoint {
                    attributes: point.attributes,
                    start_time_unix_nano: point.start_time_unix_nano,
                    time_unix_nano: point.time_unix_nano,
                    count: point.count,
                    sum: point.sum.expect("a summary's sum is always there"),
                    flags: point.flags,
                    ..Default::default()
                })
            });
            Data::Summary(Summary {
                data_points: points.collect::<Result<_, _>>()?,
            })
        }
    }))
}

fn viewed_temporality(temporality: Temporality) -> i32 {
    match temporality {
        Temporality::Unspecified => 0,
        Temporality::Delta => 1,
        Temporality::Cumulative => 2,
    }
}

fn viewed_number(point: &NumberView<'_>) -> Result<NumberDataPoint, WireError> {
    Ok(NumberDataPoint {
        attributes: viewed_attributes(&point.attributes())?,
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        value: point.value.map(|value| match value {
            Number::Int(value) => number_data_point::Value::AsInt(value),
            Number::Double(value) => number_data_point::Value::AsDouble(value),
        }),
        flags: point.flags,
        ..Default::default()
    })
}

fn viewed_distribution<const ATTRIBUTES: u32, const FLAGS: u32, const HAS_SUM: bool>(
    point: &DistributionDataPoint<'_, ATTRIBUTES, FLAGS, HAS_SUM>,
) -> Result<HistogramDataPoint, WireError> {
    Ok(HistogramDataPoint {
        attributes: viewed_attributes(&point.attributes())?,
        start_time_unix_nano: point.start_time_unix_nano,
        time_unix_nano: point.time_unix_nano,
        count: point.count,
        sum: point.sum,
        flags: point.flags,
        ..Default::default()
    })
}
