//! The second load driver of a run: the answer to its start says that the run already has a driver.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cctf_proto::keys;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;

use super::support::{QUEUE, good_span, receiver, receiver_with_clock, trace_request};

/// A control span of run `r`.
fn control(name: &str, number: u64) -> Span {
    let run_id = KeyValue {
        key: keys::RUN_ID.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue("r".to_owned())),
        }),
        ..KeyValue::default()
    };
    Span {
        name: name.to_owned(),
        attributes: vec![run_id],
        ..good_span(number)
    }
}

fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let mut request = trace_request(spans);
    request.resource_spans[0].scope_spans[0].scope = Some(InstrumentationScope {
        name: keys::CONTROL_SCOPE.to_owned(),
        ..InstrumentationScope::default()
    });
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn the_start_of_a_second_driver_is_rejected_until_the_first_ends() {
    let running = receiver(QUEUE).await;
    let channel = format!("http://{}", running.address);
    let mut client = TraceServiceClient::connect(channel).await.unwrap();
    let (start, end) = (keys::RUN_START_SPAN, keys::RUN_END_SPAN);
    let mut rejected = Vec::new();
    for spans in [
        vec![control(start, 1)],
        vec![control(start, 1)],
        vec![control(start, 2)],
        // A Collector's batch has further spans, which must not be lost.
        vec![control(start, 3), good_span(9)],
        vec![control(end, 4)],
        vec![control(start, 2)],
    ] {
        let response = client.export(request(spans)).await.unwrap().into_inner();
        rejected.push(response.partial_success.map(|part| part.error_message));
    }
    let message = "1 of 1 rows cannot be used: run_has_driver 1; the first, at index 0: another load driver has started this run \
                   and has not reported its end; use another run id";
    assert_eq!(rejected, [None, None, Some(message.to_owned()), None, None, None]);
    // The rejected start is not in the journal, so the facts of the run stay those of its first driver.
    assert_eq!(running.requests().len(), 5);
}

/// A message of the driver with this instance id. Without spans, it reports that the driver is alive.
fn of_driver(id: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let mut request = request(spans);
    let attribute = KeyValue {
        key: "service.instance.id".to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(id.to_owned())),
        }),
        ..KeyValue::default()
    };
    let resource = request.resource_spans[0].resource.get_or_insert_default();
    resource.attributes.push(attribute);
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn the_run_of_a_driver_that_was_killed_is_free_after_a_minute() {
    const SECOND: u64 = 1_000_000_000;
    let now = Arc::new(AtomicU64::new(0));
    let clock = Arc::clone(&now);
    let running = receiver_with_clock(QUEUE, Box::new(move || clock.load(Ordering::Relaxed))).await;
    let channel = format!("http://{}", running.address);
    let mut client = TraceServiceClient::connect(channel).await.unwrap();
    let start = |number| vec![control(keys::RUN_START_SPAN, number)];
    let mut accepted = Vec::new();
    for (at_s, driver, spans) in [
        (0, "a", start(1)),
        (0, "a", Vec::new()),
        (50, "a", Vec::new()),
        (110, "b", start(2)),
        // The first driver was killed after 50 seconds.
        (111, "b", start(2)),
        (1_000, "c", start(3)),
    ] {
        now.store(at_s * SECOND, Ordering::Relaxed);
        let response = client
            .export(of_driver(driver, spans))
            .await
            .unwrap()
            .into_inner();
        accepted.push(response.partial_success.is_none());
    }
    // The second driver never reports that it is alive, as behind a Collector that drops such reports.
    assert_eq!(accepted, [true, true, true, false, true, false]);
    // Reports have no rows, so the journal does not have them.
    assert_eq!(running.requests().len(), 2);
}
