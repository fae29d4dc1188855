//! The second load driver of a run: the answer to its start says that the run already has a driver.

use cctf_proto::keys;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;

use super::support::{QUEUE, good_span, receiver, trace_request};

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
