//! OTLP requests made by hand, valid and invalid, and a client that sends any bytes as a request.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use prost::bytes::{Buf, BufMut};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

const EXPORT_TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// The current time, nanoseconds since the Unix epoch.
pub fn now_unix_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// A string attribute.
pub fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue {
        value: Some(Value::StringValue(value.to_owned())),
    };
    KeyValue {
        key: key.to_owned(),
        value: Some(value),
        ..KeyValue::default()
    }
}

/// A valid SERVER span without a parent. It takes one millisecond and has just ended. All bytes of its ids are `number`.
pub fn span(number: u8) -> Span {
    let end = now_unix_ns();
    Span {
        trace_id: vec![number; 16],
        span_id: vec![number; 8],
        name: "GET /".to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: end - 1_000_000,
        end_time_unix_nano: end,
        ..Span::default()
    }
}

/// A request with these spans. Its resource is the service `shop` on node `n1`.
pub fn request(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let attributes = [
        ("service.name", "shop"),
        ("service.instance.id", "shop-1"),
        ("cctf.node_id", "n1"),
    ];
    let resource = Resource {
        attributes: attributes.map(|(key, value)| attribute(key, value)).to_vec(),
        ..Resource::default()
    };
    request_of(Some(resource), spans)
}

/// A request with these spans and this resource.
pub fn request_of(resource: Option<Resource>, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans {
        spans,
        ..ScopeSpans::default()
    }];
    let resource_spans = vec![ResourceSpans {
        resource,
        scope_spans,
        ..ResourceSpans::default()
    }];
    ExportTraceServiceRequest { resource_spans }
}

/// Sends bytes to the traces service over gRPC. The inner result is the receiver's answer. The outer one is an error if there
/// is no connection.
pub fn export(url: &str, body: Vec<u8>) -> anyhow::Result<Result<ExportTraceServiceResponse, Status>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let channel = tonic::transport::Endpoint::new(url.to_owned())?.connect().await;
        let mut client =
            tonic::client::Grpc::new(channel.with_context(|| format!("cannot connect to {url}"))?);
        client.ready().await?;
        let path = http_path();
        let answer = client.unary(Request::new(body), path, AnyBytes).await;
        Ok(answer.and_then(|answer| {
            let response = ExportTraceServiceResponse::decode(&*answer.into_inner());
            response.map_err(|error| Status::internal(error.to_string()))
        }))
    })
}

fn http_path() -> tonic::codegen::http::uri::PathAndQuery {
    tonic::codegen::http::uri::PathAndQuery::from_static(EXPORT_TRACES)
}

/// A codec that does not decode messages.
#[derive(Debug, Clone, Copy)]
pub struct AnyBytes;

impl Codec for AnyBytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for AnyBytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for AnyBytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}
