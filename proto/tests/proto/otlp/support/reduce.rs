//! Prost structs reduced to the fields that the views have.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{ExponentialHistogramDataPoint, Metric, NumberDataPoint};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;

/// Removes the fields without a view from a decoded trace request.
pub fn reduce_traces(request: &mut ExportTraceServiceRequest) {
    for group in &mut request.resource_spans {
        reduce_resource(&mut group.resource);
        for scope in &mut group.scope_spans {
            reduce_scope(&mut scope.scope);
            scope.spans.iter_mut().for_each(reduce_span);
        }
    }
}

/// Removes the fields without a view from a decoded metrics request.
pub fn reduce_metrics(request: &mut ExportMetricsServiceRequest) {
    for group in &mut request.resource_metrics {
        reduce_resource(&mut group.resource);
        for scope in &mut group.scope_metrics {
            reduce_scope(&mut scope.scope);
            scope.metrics.iter_mut().for_each(reduce_metric);
        }
    }
}

fn reduce_resource(resource: &mut Option<Resource>) {
    let mut attributes = resource.take().unwrap_or_default().attributes;
    reduce_attributes(&mut attributes);
    *resource = Some(Resource {
        attributes,
        ..Default::default()
    });
}

fn reduce_scope(scope: &mut Option<InstrumentationScope>) {
    let scope = scope.get_or_insert_default();
    scope.dropped_attributes_count = 0;
    reduce_attributes(&mut scope.attributes);
}

/// Removes the values without a view from decoded attributes.
pub fn reduce_attributes(attributes: &mut [KeyValue]) {
    for attribute in attributes {
        attribute.key_strindex = 0;
        reduce_value(attribute.value.get_or_insert_default());
    }
}

fn reduce_value(value: &mut AnyValue) {
    match &mut value.value {
        Some(Value::StringValueStrindex(_)) => value.value = None,
        Some(Value::ArrayValue(array)) => array.values.iter_mut().for_each(reduce_value),
        Some(Value::KvlistValue(list)) => reduce_attributes(&mut list.values),
        _ => {}
    }
}

fn reduce_enum(value: &mut i32, max: i32) {
    if !(0..=max).contains(value) {
        *value = 0;
    }
}

fn reduce_span(span: &mut Span) {
    reduce_enum(&mut span.kind, 5);
    reduce_enum(&mut span.status.get_or_insert_default().code, 2);
    for event in &mut span.events {
        (event.time_unix_nano, event.dropped_attributes_count) = (0, 0);
        reduce_attributes(&mut event.attributes);
    }
    span.dropped_events_count = 0;
    reduce_attributes(&mut span.attributes);
    for link in &mut span.links {
        link.dropped_attributes_count = 0;
        reduce_attributes(&mut link.attributes);
    }
}

fn reduce_metric(metric: &mut Metric) {
    metric.description.clear();
    metric.metadata.clear();
    match &mut metric.data {
        None => {}
        Some(Data::Gauge(gauge)) => gauge.data_points.iter_mut().for_each(reduce_number),
        Some(Data::Sum(sum)) => {
            reduce_enum(&mut sum.aggregation_temporality, 2);
            sum.data_points.iter_mut().for_each(reduce_number);
        }
        Some(Data::Histogram(histogram)) => {
            reduce_enum(&mut histogram.aggregation_temporality, 2);
            for point in &mut histogram.data_points {
                reduce_attributes(&mut point.attributes);
                point.bucket_counts.clear();
                point.explicit_bounds.clear();
                point.exemplars.clear();
                (point.min, point.max) = (None, None);
            }
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            reduce_enum(&mut histogram.aggregation_temporality, 2);
            for point in &mut histogram.data_points {
                reduce_attributes(&mut point.attributes);
                *point = ExponentialHistogramDataPoint {
                    attributes: std::mem::take(&mut point.attributes),
                    start_time_unix_nano: point.start_time_unix_nano,
                    time_unix_nano: point.time_unix_nano,
                    count: point.count,
                    sum: point.sum,
                    flags: point.flags,
                    ..Default::default()
                };
            }
        }
        Some(Data::Summary(summary)) => {
            for point in &mut summary.data_points {
                reduce_attributes(&mut point.attributes);
                point.quantile_values.clear();
            }
        }
    }
}

fn reduce_number(point: &mut NumberDataPoint) {
    reduce_attributes(&mut point.attributes);
    point.exemplars.clear();
}
