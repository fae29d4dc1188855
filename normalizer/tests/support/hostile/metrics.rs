//! Export requests of metrics, with hostile points of every kind.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, metric,
    number_data_point,
};
use prost::Message as _;

use super::vocabulary::{DOUBLES, INTEGERS, OF_METRICS, OF_POINTS};
use super::{Choices, attribute, attributes, resource, text, time};

fn number_point(choices: &mut Choices<'_>) -> NumberDataPoint {
    let direction = choices.pick(&["receive", "transmit", "read", "write", "idle", "user", "used", ""]);
    let key = choices.pick(&OF_POINTS);
    let mut list = vec![attribute(key, Value::StringValue(direction.to_owned()))];
    list.extend(attributes(choices, &OF_POINTS, 2));
    NumberDataPoint {
        attributes: list,
        start_time_unix_nano: time(choices),
        time_unix_nano: time(choices),
        flags: u32::from(choices.rarely(12)),
        value: match choices.below(8) {
            0..4 => Some(number_data_point::Value::AsDouble(choices.pick(&DOUBLES))),
            7 => None,
            _ => Some(number_data_point::Value::AsInt(choices.pick(&INTEGERS))),
        },
        ..NumberDataPoint::default()
    }
}

fn metric(choices: &mut Choices<'_>) -> Metric {
    let count = 1 + choices.below(3);
    let time_unix_nano = time(choices);
    let temporality = choices.pick(&[2, 1, 0, -1]);
    let data = match choices.below(10) {
        0..5 => metric::Data::Sum(Sum {
            data_points: (0..count).map(|_| number_point(choices)).collect(),
            aggregation_temporality: temporality,
            is_monotonic: choices.rarely(2),
        }),
        5..7 => metric::Data::Gauge(Gauge {
            data_points: (0..count).map(|_| number_point(choices)).collect(),
        }),
        7 => metric::Data::Histogram(Histogram {
            data_points: vec![HistogramDataPoint {
                time_unix_nano,
                count: u64::MAX,
                sum: Some(choices.pick(&DOUBLES)),
                ..HistogramDataPoint::default()
            }],
            aggregation_temporality: temporality,
        }),
        8 => metric::Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![ExponentialHistogramDataPoint {
                time_unix_nano,
                scale: i32::MIN,
                ..ExponentialHistogramDataPoint::default()
            }],
            aggregation_temporality: temporality,
        }),
        _ => metric::Data::Summary(Summary {
            data_points: vec![SummaryDataPoint {
                time_unix_nano,
                sum: choices.pick(&DOUBLES),
                ..SummaryDataPoint::default()
            }],
        }),
    };
    Metric {
        name: choices.pick(&OF_METRICS).to_owned(),
        unit: text(choices),
        data: Some(data),
        ..Metric::default()
    }
}

/// An export request of a few metrics.
pub fn metrics(choices: &mut Choices<'_>) -> Vec<u8> {
    let resource = resource(choices);
    let count = 1 + choices.below(3);
    let scope_metrics = vec![ScopeMetrics {
        metrics: (0..count).map(|_| metric(choices)).collect(),
        ..ScopeMetrics::default()
    }];
    let resource_metrics = vec![ResourceMetrics {
        resource,
        scope_metrics,
        ..ResourceMetrics::default()
    }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}
