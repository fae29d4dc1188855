//! A receiver on a free port with a journal that the test reads, and clients that send single bytes.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes};
use cctf_normalizer::connections::Listener;
use cctf_normalizer::journal::{self, Clock, Content, Journal, QueueLimits, Reader, Signal, wall_clock};
use cctf_normalizer::receiver::{Receiver, ReceiverLimits};
use http::{HeaderMap, HeaderName, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::net::TcpStream;
use tokio::sync::watch;

pub const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

pub const LIMITS: ReceiverLimits = ReceiverLimits {
    message_bytes_max: 256 * 1024,
    in_flight_bytes_max: 4 * 1024 * 1024,
};
pub const QUEUE: QueueLimits = QueueLimits {
    requests_max: 1000,
    bytes_max: 64 * 1024 * 1024,
};

pub const CONNECTIONS_MAX: usize = 100;

/// A receiver whose journal only the test reads.
pub struct Running {
    pub address: SocketAddr,
    pub journal: Journal,
    reader: Reader,
    pub stop: watch::Sender<bool>,
}

pub async fn receiver(queue: QueueLimits) -> Running {
    receiver_with_clock(queue, wall_clock(0)).await
}

pub async fn receiver_with_clock(queue: QueueLimits, clock: Clock) -> Running {
    let (journal, reader) = journal::open(queue, clock);
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .unwrap();
    let address = listener.address();
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(listener.serve(Receiver::new(journal.clone(), LIMITS), CONNECTIONS_MAX, stopped));
    Running {
        address,
        journal,
        reader,
        stop,
    }
}

impl Running {
    /// Closes the journal and returns the requests in it.
    pub fn requests(mut self) -> Vec<(Signal, Bytes)> {
        self.journal.close();
        let (mut batch, mut requests) = (Vec::new(), Vec::new());
        while self.reader.next_batch(&mut batch) {
            for record in batch.drain(..) {
                if let Content::Request { signal, body } = record.content {
                    requests.push((signal, body));
                }
            }
        }
        requests
    }
}

/// An answer with its trailers.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The gRPC status, which a refusal has in its headers and a success in its trailers.
    pub fn grpc_status(&self) -> &str {
        let status = self
            .headers
            .get("grpc-status")
            .or_else(|| self.trailers.get("grpc-status"));
        status.map_or("", |value| value.to_str().unwrap())
    }
}

/// One POST over HTTP/2.
pub async fn http2(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = request(&format!("http://{address}{path}"), headers, body);
    answer(sender.send_request(request).await.unwrap()).await
}

/// One POST over HTTP/1.
pub async fn http1(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    answer(sender.send_request(request(path, headers, body)).await.unwrap()).await
}

/// One gRPC call with this framed message.
pub async fn grpc(
    address: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    framed: impl Into<Bytes>,
) -> Answer {
    let own = [("content-type", "application/grpc"), ("te", "trailers")];
    http2(address, path, &[&own, headers].concat(), framed).await
}

fn request(uri: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::post(uri).body(Full::new(body.into())).unwrap();
    request.headers_mut().insert("host", "test".parse().unwrap());
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    request
}

async fn answer(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    Answer {
        status: head.status,
        headers: head.headers,
        body: collected.to_bytes(),
        trailers,
    }
}

/// gRPC's five bytes, then the message.
pub fn frame(compressed: bool, message: &[u8]) -> Vec<u8> {
    let mut framed = vec![u8::from(compressed)];
    framed.put_u32(message.len() as u32);
    framed.extend_from_slice(message);
    framed
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// A valid span.
pub fn good_span(number: u64) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: (number + 1).to_be_bytes().to_vec(),
        name: "GET /".to_owned(),
        kind: 2,
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_005_000_000,
        ..Span::default()
    }
}

pub fn trace_request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let service = KeyValue {
        key: "service.name".to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue("shop".to_owned())),
        }),
        ..KeyValue::default()
    };
    let mut resource_spans = ResourceSpans {
        scope_spans: vec![ScopeSpans {
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    resource_spans
        .resource
        .get_or_insert_default()
        .attributes
        .push(service);
    ExportTraceServiceRequest {
        resource_spans: vec![resource_spans],
    }
}
