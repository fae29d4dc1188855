//! Metrics with delta temporality, whose collections are not repeated by later ones.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::receiver::{self, Receiver};
use crate::spawn::spawn;

/// Number of requests in all exports.
fn requests(receiver: &Receiver) -> u64 {
    let exports = receiver.metrics();
    let resources = exports.iter().flat_map(|export| &export.resource_metrics);
    let metrics = resources
        .flat_map(|of| &of.scope_metrics)
        .flat_map(|of| &of.metrics);
    let durations = metrics.filter(|metric| metric.name == "http.server.request.duration");
    let points = durations.flat_map(|metric| match &metric.data {
        Some(Data::Histogram(histogram)) => histogram.data_points.as_slice(),
        other => panic!("{other:?}"),
    });
    points.map(|point| point.count).sum()
}

#[test]
fn deltas_that_were_refused_are_sent_again_once() {
    let receiver = receiver::start();
    receiver.refuse_metrics(true);
    let service = spawn(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
    ]);
    for _ in 0..2 {
        assert_eq!(service.post_with("/hash/sha256", &[], b"1").status, 200);
        // The first of them can be a collection from before the end of the request.
        receiver.wait_for_refused_metrics(3);
    }
    receiver.refuse_metrics(false);
    assert_eq!(service.post_with("/hash/sha256", &[], b"1").status, 200);
    service.stop();
    assert_eq!(requests(&receiver), 3);
}
