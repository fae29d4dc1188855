//! Requirements of the OTLP specification that the files on gRPC, HTTP and connections do not test.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1 as http1_client;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::support::{LIMITS, QUEUE, TRACES, frame, good_span, grpc, http1, http2, receiver, trace_request};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test(flavor = "multi_thread")]
async fn one_port_takes_grpc_protobuf_and_json() {
    let running = receiver(QUEUE).await;
    let message = trace_request(vec![good_span(0)]).encode_to_vec();
    let json = r#"{"resourceSpans":[{"schemaUrl":"u"}]}"#;
    let answer = grpc(running.address, TRACES, &[], frame(false, &message)).await;
    assert_eq!(answer.grpc_status(), "0");
    for (headers, body) in [(PROTOBUF, Bytes::from(message)), (JSON, json.into())] {
        let over_http1 = http1(running.address, "/v1/traces", &[headers], body.clone()).await;
        let over_http2 = http2(running.address, "/v1/traces", &[headers], body).await;
        for answer in [over_http1, over_http2] {
            assert_eq!(answer.status.as_u16(), 200);
            assert_eq!(answer.header("content-type"), headers.1);
        }
    }
    assert_eq!(running.requests().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_calls_on_one_connection_are_all_answered() {
    let running = receiver(QUEUE).await;
    let client = TraceServiceClient::connect(format!("http://{}", running.address))
        .await
        .unwrap();
    let mut calls = JoinSet::new();
    for number in 0..500 {
        let mut client = client.clone();
        calls.spawn(async move { client.export(trace_request(vec![good_span(number)])).await });
    }
    while let Some(answer) = calls.join_next().await {
        assert_eq!(answer.unwrap().unwrap().into_inner().partial_success, None);
    }
    assert_eq!(running.requests().len(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http1_connection_serves_one_request_after_another() {
    let running = receiver(QUEUE).await;
    let stream = TcpStream::connect(running.address).await.unwrap();
    let (mut sender, connection) = http1_client::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    // The connection continues after a refusal.
    for (body, status) in [("{}", 200), ("{", 400), (r#"{"resourceSpans":[{}]}"#, 200)] {
        let request = Request::post("/v1/traces")
            .header("host", "test")
            .header(JSON.0, JSON.1)
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{body}");
        response.into_body().collect().await.unwrap();
        sender.ready().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_400_has_the_error_in_its_details() {
    /// google.rpc.Status down to the description of the first violation.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Status {
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(message, optional, tag = "2")]
        bad_request: Option<BadRequest>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct BadRequest {
        #[prost(message, repeated, tag = "1")]
        field_violations: Vec<Violation>,
    }
    #[derive(Clone, PartialEq, prost::Message)]
    struct Violation {
        #[prost(string, tag = "2")]
        description: String,
    }
    const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

    let running = receiver(QUEUE).await;
    let answer = http1(running.address, "/v1/traces", &[PROTOBUF], vec![0x0a, 0x05, 0x00]).await;
    assert_eq!(answer.status.as_u16(), 400);
    let detail = Status::decode(answer.body).unwrap().details.remove(0);
    assert_eq!(detail.type_url, BAD_REQUEST);
    let violations = detail.bad_request.unwrap().field_violations;
    assert!(violations[0].description.contains("at byte"), "{violations:?}");

    let answer = http1(running.address, "/v1/traces", &[JSON], r#"{"resourceSpans":7}"#).await;
    assert_eq!(answer.status.as_u16(), 400);
    let status: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(status["details"][0]["@type"], BAD_REQUEST);
    let description = status["details"][0]["fieldViolations"][0]["description"].as_str();
    assert!(description.unwrap().contains("resourceSpans"), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_bytes_in_progress_are_503_until_they_are_processed() {
    let running = receiver(QUEUE).await;
    let body_len = LIMITS.message_bytes_max;
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {body_len}\r\n\r\n"
    );
    let begin = || async {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server may close the connection of a refused request before all of it was sent.
        let _ = stream.write_all(&vec![0; body_len - 1]).await;
        stream
    };
    let mut under_way = Vec::new();
    // The bytes are not a message, so an accepted request gets the answer 400 and the queue stays empty.
    let probe = || http1(running.address, "/v1/traces", &[PROTOBUF], vec![0; body_len]);
    let begun_max = 10 * LIMITS.in_flight_bytes_max / body_len;
    let refused = loop {
        // There is one request more each time, because a request can itself be refused while a probe uses the last free bytes.
        assert!(
            under_way.len() < begun_max,
            "the bytes under way are never too many"
        );
        under_way.push(begin().await);
        let answer = probe().await;
        if answer.status.as_u16() != 400 {
            break answer;
        }
    };
    assert_eq!(
        (refused.status.as_u16(), refused.header("retry-after")),
        (503, "1")
    );
    let message = String::from_utf8_lossy(&refused.body);
    assert!(
        message.contains("too many bytes of requests in progress"),
        "{message}"
    );
    drop(under_way);
    while probe().await.status.as_u16() != 400 {}
    assert_eq!(running.requests(), []);
}
