//! OTLP/gRPC at its socket: accepted and refused calls, and their status codes.

use super::support::{
    LIMITS, QUEUE, TRACES, frame, good_span, grpc, gzip, http1, receiver, receiver_with_clock, trace_request,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use cctf_normalizer::journal::{AppendError, QueueLimits, Signal};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;

async fn client(address: std::net::SocketAddr) -> TraceServiceClient<Channel> {
    TraceServiceClient::connect(format!("http://{address}"))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_every_signal_and_compression_reach_the_journal_unchanged() {
    let running = receiver(QUEUE).await;
    let request = trace_request((0..512).map(good_span).collect());
    for compression in [
        None,
        Some(CompressionEncoding::Gzip),
        Some(CompressionEncoding::Zstd),
    ] {
        let mut client = client(running.address).await;
        if let Some(compression) = compression {
            client = client.send_compressed(compression).accept_compressed(compression);
        }
        let response = client.export(request.clone()).await.unwrap().into_inner();
        assert_eq!(response.partial_success, None);
    }
    let channel = format!("http://{}", running.address);
    let metrics = ExportMetricsServiceRequest {
        resource_metrics: vec![Default::default()],
    };
    MetricsServiceClient::connect(channel.clone())
        .await
        .unwrap()
        .export(metrics.clone())
        .await
        .unwrap();
    let logs = ExportLogsServiceRequest {
        resource_logs: vec![Default::default()],
    };
    LogsServiceClient::connect(channel)
        .await
        .unwrap()
        .export(logs.clone())
        .await
        .unwrap();

    let traces = (Signal::Traces, request.encode_to_vec().into());
    let expected = [
        traces.clone(),
        traces.clone(),
        traces,
        (Signal::Metrics, metrics.encode_to_vec().into()),
        (Signal::Logs, logs.encode_to_vec().into()),
    ];
    assert_eq!(running.requests(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_request_succeeds_and_needs_no_record() {
    let running = receiver(QUEUE).await;
    let response = client(running.address)
        .await
        .export(ExportTraceServiceRequest::default())
        .await
        .unwrap();
    assert_eq!(response.into_inner().partial_success, None);
    assert_eq!(running.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_rows_are_reported_and_the_others_are_kept() {
    let running = receiver(QUEUE).await;
    let mut short_id = good_span(1);
    short_id.trace_id.pop();
    let mut no_time = good_span(2);
    no_time.end_time_unix_nano = 0;
    let request = trace_request(vec![good_span(0), short_id, no_time]);
    let response = client(running.address)
        .await
        .export(request.clone())
        .await
        .unwrap()
        .into_inner();
    let partial_success = response.partial_success.unwrap();
    assert_eq!(partial_success.rejected_spans, 2);
    assert_eq!(
        partial_success.error_message,
        "2 of 3 rows cannot be used: trace_id_length 1, missing_time 1; the first, at index 1: a trace id must have 16 bytes"
    );
    assert_eq!(
        running.requests(),
        [(Signal::Traces, request.encode_to_vec().into())]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_with_the_position_of_the_error() {
    let running = receiver(QUEUE).await;
    for (framed, headers, reason) in [
        (
            frame(false, &[0x0a, 0x05, 0x00]),
            &[][..],
            "malformed request: a field that exceeds its message at byte",
        ),
        (vec![], &[], "no message, or one with an incomplete prefix"),
        (vec![0, 0, 0], &[], "no message, or one with an incomplete prefix"),
        (
            vec![0, 0, 0, 0, 9, 1],
            &[],
            "a message shorter than the length in its prefix",
        ),
        (
            [frame(false, b""), frame(false, b"")].concat(),
            &[],
            "more than one message in a unary call",
        ),
        (
            frame(true, b"x"),
            &[],
            "a compressed message without grpc-encoding",
        ),
        (
            frame(true, b"x"),
            &[("grpc-encoding", "gzip")],
            "cannot decompress",
        ),
        (
            frame(true, b"x"),
            &[("grpc-encoding", "zstd")],
            "cannot decompress",
        ),
        (vec![2, 0, 0, 0, 0], &[], "other than 0 or 1"),
    ] {
        let answer = grpc(running.address, TRACES, headers, framed).await;
        assert_eq!(answer.grpc_status(), "3", "{answer:?}");
        assert!(answer.header("grpc-message").contains(reason), "{answer:?}");
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (200, "application/grpc")
        );
        assert_eq!(answer.header("grpc-status-details-bin"), "");
    }
    assert_eq!(running.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_too_large_is_resource_exhausted_without_a_retry_delay() {
    let running = receiver(QUEUE).await;
    let limit = LIMITS.message_bytes_max;
    let bomb = gzip(&vec![0; 64 * limit]);
    assert!(bomb.len() < limit);
    let mut only_declared = frame(false, b"");
    only_declared[1..].copy_from_slice(&u32::MAX.to_be_bytes());
    for (framed, headers) in [
        (frame(false, &vec![0; limit + 1]), &[][..]),
        (frame(false, &vec![0; 10 * limit]), &[]),
        (frame(true, &bomb), &[("grpc-encoding", "gzip")]),
        (only_declared, &[]),
    ] {
        let answer = grpc(running.address, TRACES, headers, framed).await;
        assert_eq!(
            (answer.grpc_status(), answer.header("grpc-status-details-bin")),
            ("8", ""),
            "{answer:?}"
        );
    }
    let mut large = good_span(0);
    large.name = "n".repeat(2 * limit);
    let status = client(running.address)
        .await
        .export(trace_request(vec![large]))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert_eq!(running.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_exactly_the_limit_is_accepted() {
    let running = receiver(QUEUE).await;
    let mut span = good_span(0);
    let fixed = trace_request(vec![span.clone()]).encoded_len();
    // The lengths of four messages around the name need three bytes instead of one.
    span.name = "n".repeat(LIMITS.message_bytes_max - fixed - 8 + span.name.len());
    let mut message = trace_request(vec![span.clone()]).encode_to_vec();
    let over = message.len() as isize - LIMITS.message_bytes_max as isize;
    span.name = "n".repeat(span.name.len().checked_add_signed(-over).unwrap());
    message = trace_request(vec![span]).encode_to_vec();
    assert_eq!(message.len(), LIMITS.message_bytes_max);
    let answer = grpc(running.address, TRACES, &[], frame(false, &message)).await;
    assert_eq!(answer.grpc_status(), "0", "{answer:?}");
    assert_eq!(running.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn unsupported_calls_are_unimplemented() {
    let running = receiver(QUEUE).await;
    let answer = grpc(running.address, "/some.Service/Method", &[], frame(false, b"")).await;
    assert_eq!((answer.grpc_status(), answer.status.as_u16()), ("12", 200));
    let answer = grpc(
        running.address,
        TRACES,
        &[("grpc-encoding", "snappy")],
        frame(true, b"x"),
    )
    .await;
    assert_eq!(
        (answer.grpc_status(), answer.header("grpc-accept-encoding")),
        ("12", "identity,gzip,zstd")
    );
    let answer = http1(
        running.address,
        TRACES,
        &[("content-type", "application/grpc")],
        "",
    )
    .await;
    assert_eq!(answer.status.as_u16(), 505);
}

/// google.rpc.Status down to the delay: code, message, details { type, value { retry_delay { seconds } } }.
fn retry_delay_seconds(details: &[u8]) -> i64 {
    #[derive(Clone, PartialEq, prost::Message)]
    struct Status {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(message, optional, tag = "2")]
        retry_info: Option<RetryInfo>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        retry_delay: Option<Seconds>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Seconds {
        #[prost(int64, tag = "1")]
        seconds: i64,
    }
    let status = Status::decode(details).unwrap();
    assert_eq!(status.code, 14);
    assert_eq!(
        status.details[0].type_url,
        "type.googleapis.com/google.rpc.RetryInfo"
    );
    status.details[0]
        .retry_info
        .clone()
        .unwrap()
        .retry_delay
        .unwrap()
        .seconds
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_unavailable_with_a_retry_delay() {
    let running = receiver(QueueLimits {
        requests_max: 1,
        ..QUEUE
    })
    .await;
    let mut client = client(running.address).await;
    client.export(trace_request(vec![good_span(0)])).await.unwrap();
    let status = client
        .export(trace_request(vec![good_span(1)]))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (tonic::Code::Unavailable, &*AppendError::Full.to_string())
    );
    assert_eq!(retry_delay_seconds(status.details()), 1);

    let message = trace_request(vec![good_span(2)]).encode_to_vec();
    let answer = grpc(running.address, TRACES, &[], frame(false, &message)).await;
    let details = STANDARD_NO_PAD
        .decode(answer.header("grpc-status-details-bin"))
        .unwrap();
    assert_eq!((answer.grpc_status(), retry_delay_seconds(&details)), ("14", 1));
    assert_eq!(running.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_and_a_shutdown_are_unavailable() {
    let running = receiver(QUEUE).await;
    let mut client = client(running.address).await;
    running
        .journal
        .set_disk_full(cctf_normalizer::journal::DiskFull::Files, true);
    let status = client
        .export(trace_request(vec![good_span(0)]))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (tonic::Code::Unavailable, &*AppendError::DiskFull.to_string())
    );
    running
        .journal
        .set_disk_full(cctf_normalizer::journal::DiskFull::Files, false);
    running.journal.close();
    let status = client
        .export(trace_request(vec![good_span(0)]))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (tonic::Code::Unavailable, &*AppendError::Closed.to_string())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_unavailable_and_ends_neither_connection_nor_receiver() {
    let calls = std::sync::atomic::AtomicU64::new(0);
    let second_call_panics =
        Box::new(
            move || match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                1 => panic!("on purpose"),
                call => call,
            },
        );
    let running = receiver_with_clock(QUEUE, second_call_panics).await;
    let mut client = client(running.address).await;
    let status = client
        .export(trace_request(vec![good_span(0)]))
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert_eq!(retry_delay_seconds(status.details()), 1);
    client.export(trace_request(vec![good_span(0)])).await.unwrap();
    assert_eq!(running.requests().len(), 1);
}
