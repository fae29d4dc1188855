//! Export requests over OTLP/gRPC, sent as the bytes that they are, so that a retry costs no second encoding.

use super::span_queue::{Sent, Transport};
use crate::settings::OtelSettings;
use anyhow::Context as _;
use bytes::{Buf, BufMut, Bytes};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use std::time::Duration;
use tokio::runtime::Handle;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

const EXPORT_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// A gRPC channel to the receiver of spans.
pub struct GrpcTransport {
    client: Grpc<Channel>,
    metadata: MetadataMap,
    runtime: Handle,
    timeout: Duration,
}

impl GrpcTransport {
    /// A channel that connects when it is first used, on `runtime`.
    ///
    /// # Errors
    /// An endpoint or headers that cannot be used.
    pub fn new(endpoint: &str, settings: &OtelSettings, runtime: &Handle) -> anyhow::Result<Self> {
        let _inside = runtime.enter();
        let timeout = Duration::from_millis(settings.otlp_timeout_ms);
        let endpoint = Endpoint::from_shared(endpoint.to_owned())
            .with_context(|| format!("OTEL_EXPORTER_OTLP_ENDPOINT '{endpoint}' is not usable"))?
            .connect_timeout(timeout);
        let mut client = Grpc::new(endpoint.connect_lazy());
        if settings.otlp_compression == "gzip" {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let metadata = parse_headers(settings.otlp_headers.as_deref().unwrap_or_default())?;
        Ok(Self {
            client,
            metadata,
            runtime: runtime.clone(),
            timeout,
        })
    }
}

impl Transport for GrpcTransport {
    fn send(&mut self, batch: Bytes) -> Sent {
        let mut request = Request::new(batch);
        *request.metadata_mut() = self.metadata.clone();
        let (client, timeout) = (&mut self.client, self.timeout);
        let export = async move {
            client
                .ready()
                .await
                .map_err(|error| Status::unavailable(error_chain(&error)))?;
            client
                .unary(request, PathAndQuery::from_static(EXPORT_PATH), RawCodec)
                .await
        };
        let answer = self
            .runtime
            .block_on(async move { tokio::time::timeout(timeout, export).await });
        match answer {
            Err(_elapsed) => Sent::Retry(format!("no answer within {} ms", timeout.as_millis())),
            Ok(Err(status)) => judge(&status),
            Ok(Ok(response)) => accepted(&response.into_inner()),
        }
    }
}

fn accepted(response: &Bytes) -> Sent {
    let partial = ExportTraceServiceResponse::decode(response.clone())
        .ok()
        .and_then(|answer| answer.partial_success);
    let Some(partial) = partial else {
        return Sent::Accepted { rejected: 0 };
    };
    let rejected = u64::try_from(partial.rejected_spans).unwrap_or(0);
    if rejected > 0 || !partial.error_message.is_empty() {
        tracing::warn!(
            rejected,
            "the receiver could not use all spans: {}",
            partial.error_message
        );
    }
    Sent::Accepted { rejected }
}

/// OTLP's table of codes; what tonic itself reports of a broken connection (unknown, internal) is retried, too,
/// for the receiver recognises a copy.
fn judge(status: &Status) -> Sent {
    let why = format!("{:?}: {}", status.code(), status.message());
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::FailedPrecondition
        | Code::Unimplemented => Sent::Refused(why),
        // Only with RetryInfo, which comes in the details, does it say that a later try can succeed.
        Code::ResourceExhausted if status.details().is_empty() => Sent::Refused(why),
        _ => Sent::Retry(why),
    }
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// OTEL_EXPORTER_OTLP_HEADERS as request metadata.
///
/// # Errors
/// Text that is no list of pairs.
pub fn parse_headers(text: &str) -> anyhow::Result<MetadataMap> {
    let mut headers = http::HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair
            .split_once('=')
            .context("OTEL_EXPORTER_OTLP_HEADERS must be key=value pairs, separated by commas")?;
        let name: http::HeaderName = name
            .trim()
            .parse()
            .context("OTEL_EXPORTER_OTLP_HEADERS holds a key that is no header name")?;
        let value = value
            .trim()
            .parse()
            .context("OTEL_EXPORTER_OTLP_HEADERS holds a value that is no header value")?;
        headers.append(name, value);
    }
    Ok(MetadataMap::from_headers(headers))
}

/// Passes message bytes through as they are.
#[derive(Debug, Clone, Copy, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_never_be_accepted_is_given_up() {
        for code in [
            Code::Unavailable,
            Code::DeadlineExceeded,
            Code::Aborted,
            Code::Unknown,
            Code::Internal,
        ] {
            assert!(
                matches!(judge(&Status::new(code, "x")), Sent::Retry(_)),
                "{code:?}"
            );
        }
        for code in [
            Code::InvalidArgument,
            Code::Unauthenticated,
            Code::Unimplemented,
            Code::ResourceExhausted,
        ] {
            assert!(
                matches!(judge(&Status::new(code, "x")), Sent::Refused(_)),
                "{code:?}"
            );
        }
        let with_info = Status::with_details(Code::ResourceExhausted, "x", Bytes::from_static(b"info"));
        assert!(matches!(judge(&with_info), Sent::Retry(_)));
    }

    #[test]
    fn headers_are_pairs() {
        let headers = parse_headers("authorization=Bearer a=b, x-tenant=7").unwrap();
        assert_eq!(headers.get("authorization").unwrap(), "Bearer a=b");
        assert_eq!(headers.get("x-tenant").unwrap(), "7");
        assert!(parse_headers("nonsense").is_err());
        assert!(parse_headers("").unwrap().is_empty());
    }
}
