//! OTLP/HTTP at its socket, in protobuf and in JSON.

use std::net::SocketAddr;

use super::support::{Answer, LIMITS, QUEUE, good_span, gzip, http1, http2, receiver, trace_request};
use cctf_normalizer::journal::{QueueLimits, Signal};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

/// google.rpc.Status without its details.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

async fn post_traces(address: SocketAddr, headers: &[(&str, &str)], body: impl Into<bytes::Bytes>) -> Answer {
    http1(address, "/v1/traces", headers, body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn protobuf_of_every_signal_and_compression_reaches_the_journal_unchanged() {
    let running = receiver(QUEUE).await;
    let message = trace_request((0..512).map(good_span).collect()).encode_to_vec();
    let zstd = zstd::encode_all(&message[..], 1).unwrap();
    for (body, encoding) in [
        (message.clone(), "identity"),
        (gzip(&message), "gzip"),
        (zstd, "zstd"),
    ] {
        let headers = [PROTOBUF, ("content-encoding", encoding)];
        let over_http1 = post_traces(running.address, &headers, body.clone()).await;
        let over_http2 = http2(running.address, "/v1/traces", &headers, body).await;
        for answer in [over_http1, over_http2] {
            assert_eq!(
                (answer.status.as_u16(), answer.header("content-type")),
                (200, PROTOBUF.1)
            );
            assert_eq!(
                ExportTraceServiceResponse::decode(answer.body)
                    .unwrap()
                    .partial_success,
                None
            );
        }
    }
    // A metrics request and a logs request with an unknown field.
    for path in ["/v1/metrics", "/v1/logs"] {
        let answer = http1(running.address, path, &[PROTOBUF], vec![0x78, 0x01]).await;
        assert_eq!(answer.status.as_u16(), 200);
    }
    let requests = running.requests();
    assert!(
        requests[..6]
            .iter()
            .all(|request| *request == (Signal::Traces, message.clone().into()))
    );
    assert_eq!(
        requests[6..],
        [
            (Signal::Metrics, vec![0x78, 0x01].into()),
            (Signal::Logs, vec![0x78, 0x01].into()),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn json_becomes_the_same_protobuf() {
    let running = receiver(QUEUE).await;
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"spans": [{
            "traceId": "07".repeat(16), "spanId": "0000000000000001", "name": "GET /", "kind": 2,
            "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": 1_700_000_000_005_000_000_u64,
        }]}],
    }]});
    let answer = post_traces(running.address, &[JSON], body.to_string()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, "application/json")
    );
    assert_eq!(answer.body, "{}");
    let compressed = gzip(body.to_string().as_bytes());
    let answer = post_traces(running.address, &[JSON, ("content-encoding", "gzip")], compressed).await;
    assert_eq!(answer.status.as_u16(), 200);

    let requests = running.requests();
    assert_eq!(requests.len(), 2);
    for (signal, message) in requests {
        assert_eq!(signal, Signal::Traces);
        assert_eq!(
            ExportTraceServiceRequest::decode(message).unwrap(),
            trace_request(vec![good_span(0)])
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_rows_are_reported_in_the_encoding_of_the_request() {
    let running = receiver(QUEUE).await;
    let mut bad = good_span(1);
    bad.span_id = vec![0; 8];
    let message = trace_request(vec![good_span(0), bad]).encode_to_vec();
    let answer = post_traces(running.address, &[PROTOBUF], message).await;
    let response = ExportTraceServiceResponse::decode(answer.body).unwrap();
    assert_eq!(
        response.partial_success.map(|partial| partial.rejected_spans),
        Some(1)
    );

    let body = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz","spanId":"01"}]}]}]}"#;
    let answer = post_traces(running.address, &[JSON], body).await;
    assert_eq!(answer.status.as_u16(), 200);
    let response: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(response["partialSuccess"]["rejectedSpans"], "1");

    let point =
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{"dataPoints":[{"asInt":1}]}}]}]}]}"#;
    let answer = http1(running.address, "/v1/metrics", &[JSON], point).await;
    let response: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(response["partialSuccess"]["rejectedDataPoints"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_requests_succeed() {
    let running = receiver(QUEUE).await;
    for (headers, body) in [(PROTOBUF, ""), (JSON, "{}"), (JSON, r#"{"resourceSpans":[]}"#)] {
        let answer = post_traces(running.address, &[headers], body).await;
        assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    }
    assert_eq!(running.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_the_status_and_body_that_the_specification_asks_for() {
    let running = receiver(QUEUE).await;
    let large = vec![b' '; LIMITS.message_bytes_max + 1];
    let bomb = gzip(&vec![0; 64 * LIMITS.message_bytes_max]);
    for (path, headers, body, status, code, message) in [
        (
            "/v1/traces",
            &[PROTOBUF][..],
            vec![0x0a, 0x05, 0x00],
            400,
            3,
            "at byte",
        ),
        (
            "/v1/traces",
            &[JSON],
            b"{\"resourceSpans\":7}".to_vec(),
            400,
            3,
            "resourceSpans",
        ),
        (
            "/v1/traces",
            &[JSON],
            large.clone(),
            413,
            8,
            "the message exceeds 262144 bytes",
        ),
        (
            "/v1/traces",
            &[PROTOBUF],
            large,
            413,
            8,
            "the message exceeds 262144 bytes",
        ),
        (
            "/v1/traces",
            &[PROTOBUF, ("content-encoding", "gzip")],
            bomb,
            413,
            8,
            "the message exceeds",
        ),
        (
            "/v1/traces",
            &[PROTOBUF, ("content-encoding", "br")],
            vec![],
            415,
            12,
            "use one of identity,gzip,zstd",
        ),
        (
            "/v1/traces",
            &[("content-type", "text/plain")],
            vec![],
            415,
            12,
            "text/plain",
        ),
        ("/v1/traces", &[], vec![], 415, 12, "content type"),
        ("/v2/traces", &[PROTOBUF], vec![], 404, 12, "/v2/traces"),
    ] {
        let answer = http1(running.address, path, headers, body).await;
        assert_eq!(answer.status.as_u16(), status, "{answer:?}");
        let refusal = if headers.contains(&PROTOBUF) {
            assert_eq!(answer.header("content-type"), PROTOBUF.1);
            Status::decode(answer.body.clone()).unwrap()
        } else {
            assert_eq!(answer.header("content-type"), "application/json");
            let value: Value = serde_json::from_slice(&answer.body).unwrap();
            Status {
                code: value["code"].as_i64().unwrap() as i32,
                message: value["message"].as_str().unwrap().to_owned(),
            }
        };
        assert_eq!(refusal.code, code, "{answer:?}");
        assert!(refusal.message.contains(message), "{refusal:?}");
        assert_eq!(answer.header("retry-after"), "");
    }
    assert_eq!(running.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_503_with_retry_after() {
    let running = receiver(QueueLimits {
        requests_max: 1,
        ..QUEUE
    })
    .await;
    let message = trace_request(vec![good_span(0)]).encode_to_vec();
    assert_eq!(
        post_traces(running.address, &[PROTOBUF], message.clone())
            .await
            .status
            .as_u16(),
        200
    );
    let answer = post_traces(running.address, &[PROTOBUF], message).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"));
    assert_eq!(Status::decode(answer.body).unwrap().code, 14);
    let json = r#"{"resourceSpans":[{"schemaUrl":"u"}]}"#;
    let answer = post_traces(running.address, &[JSON], json).await;
    let refusal: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(refusal["details"][0]["retryDelay"], "1s");
}

async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_and_oversized_headers_are_refused() {
    let running = receiver(QUEUE).await;
    let answer = raw(
        running.address,
        "GET /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 405 ") && answer.contains("\r\nallow: POST\r\n"),
        "{answer}"
    );
    let header = "h".repeat(20 * 1024);
    let answer = raw(
        running.address,
        &format!("POST /v1/traces HTTP/1.1\r\nx: {header}\r\n\r\n"),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_cut_off_leaves_no_record() {
    let running = receiver(QUEUE).await;
    let message = trace_request(vec![good_span(0)]).encode_to_vec();
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        message.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&message[..message.len() - 1]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(
        !answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(running.requests(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_many_small_pieces_is_one_message() {
    let running = receiver(QUEUE).await;
    let message = trace_request((0..100).map(good_span).collect()).encode_to_vec();
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in message.chunks(7) {
        stream
            .write_all(format!("{:x}\r\n", piece.len()).as_bytes())
            .await
            .unwrap();
        stream.write_all(piece).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    assert_eq!(running.requests(), [(Signal::Traces, message.into())]);
}

/// A request with invalid UTF-8 in one attribute was refused as a whole in earlier versions.
#[tokio::test(flavor = "multi_thread")]
async fn unreadable_text_is_replaced_and_nothing_else_changes() {
    const MARK: &[u8] = b"<not text>";
    let running = receiver(QUEUE).await;
    let mut request = trace_request((0..402).map(good_span).collect());
    let spans = &mut request.resource_spans[0].scope_spans[0].spans;
    spans[7].name = "a<not text>".to_owned();
    let mut body = request.encode_to_vec();
    let at = body
        .windows(MARK.len())
        .position(|window| window == MARK)
        .unwrap();
    body[at..at + MARK.len()].fill(0xff);
    let answer = post_traces(running.address, &[PROTOBUF], body).await;
    assert_eq!(answer.status.as_u16(), 200);
    let json = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\ud800"}]}]}]}"#;
    let answer = post_traces(running.address, &[JSON], &json[..]).await;
    assert_eq!(answer.status.as_u16(), 200);

    let spans = &mut request.resource_spans[0].scope_spans[0].spans;
    spans[7].name = "a\u{fffd}".to_owned();
    spans[7].dropped_attributes_count = 1;
    let requests = running.requests();
    let decoded = |at: usize| ExportTraceServiceRequest::decode(requests[at].1.clone()).unwrap();
    assert_eq!(decoded(0), request);
    let span = &decoded(1).resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((&*span.name, span.dropped_attributes_count), ("\u{fffd}", 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_encodings_ignore_case() {
    let running = receiver(QUEUE).await;
    let message = trace_request(vec![good_span(1)]).encode_to_vec();
    for encoding in ["GZIP", "X-Gzip", "Gzip"] {
        let headers = [PROTOBUF, ("content-encoding", encoding)];
        let answer = post_traces(running.address, &headers, gzip(&message)).await;
        assert_eq!(answer.status.as_u16(), 200, "{encoding}");
    }
    assert_eq!(running.requests().len(), 3);
}
