//! [`Sender`]: one attempt to send an encoded request. Retries send the same bytes again.

use std::io::Write as _;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use url::{Position, Url};

use crate::connector::{CONNECT_TIMEOUT, Connector};
use crate::destination::Destination;
use crate::options::{Compression, Protocol, Signal};
use crate::retry::{Failure, Retry};
use crate::tls::TlsError;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
/// Maximum size of an answer, which contains only a count and a message.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The answer of a receiver that accepted a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Number of rejected spans or data points.
    pub rejected: u64,
    /// The reason, or another message of the receiver.
    pub message: Option<String>,
}

/// Sends to one destination. Clones share the connection, which the first attempt establishes.
#[derive(Clone)]
pub struct Sender {
    transport: Transport,
    timeout: Option<Duration>,
    is_gzipped: bool,
}

#[derive(Clone)]
enum Transport {
    Grpc {
        channel: Channel,
        path: PathAndQuery,
        metadata: MetadataMap,
    },
    Http {
        client: Box<Client<Connector, Full<Bytes>>>,
        uri: Uri,
        headers: HeaderMap,
    },
}

impl Sender {
    /// Must be called inside a runtime.
    ///
    /// # Errors
    /// Invalid or unreadable certificates.
    pub fn new(destination: &Destination) -> Result<Self, TlsError> {
        let Destination {
            url, tls, headers, ..
        } = destination;
        let transport = match destination.protocol {
            Protocol::Grpc => Transport::Grpc {
                channel: channel(url, Connector::new(url, tls, b"h2")?),
                path: PathAndQuery::from_static(grpc_path(destination.signal)),
                metadata: MetadataMap::from_headers(headers.clone()),
            },
            Protocol::HttpProtobuf => Transport::Http {
                client: Box::new(Client::builder(TokioExecutor::new()).build(Connector::new(
                    url,
                    tls,
                    b"http/1.1",
                )?)),
                uri: uri(&url[..Position::AfterQuery]),
                headers: headers.clone(),
            },
        };
        Ok(Self {
            transport,
            timeout: destination.timeout,
            is_gzipped: destination.compression == Compression::Gzip,
        })
    }

    /// Sends an encoded export request once.
    ///
    /// # Errors
    /// The failure, and whether the request may be sent again.
    pub async fn attempt(&self, request: Bytes) -> Result<Accepted, Failure> {
        let attempt = async {
            match &self.transport {
                Transport::Grpc {
                    channel,
                    path,
                    metadata,
                } => self.send_grpc(channel, path, metadata, request).await,
                Transport::Http { client, uri, headers } => {
                    let request = self.post(uri, headers, request)?;
                    let response = client.request(request).await;
                    read_answer(response.map_err(|error| Failure::from_transport(&error))?).await
                }
            }
        };
        let Some(timeout) = self.timeout else {
            return attempt.await;
        };
        let answer = tokio::time::timeout(timeout, attempt).await;
        answer.unwrap_or_else(|_elapsed| {
            Err(Failure {
                error: format!("no answer within {} ms", timeout.as_millis()),
                retry: Retry::Soon,
            })
        })
    }

    async fn send_grpc(
        &self,
        channel: &Channel,
        path: &PathAndQuery,
        metadata: &MetadataMap,
        message: Bytes,
    ) -> Result<Accepted, Failure> {
        let mut client = tonic::client::Grpc::new(channel.clone());
        if self.is_gzipped {
            client = client.send_compressed(CompressionEncoding::Gzip);
        }
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = metadata.clone();
        client
            .ready()
            .await
            .map_err(|error| Failure::from_transport(&error))?;
        let answer = client.unary(request, path.clone(), RawCodec).await;
        let response = answer.map_err(|status| Failure::from_status(&status))?;
        Ok(Accepted::decode(response.into_inner()))
    }

    fn post(&self, uri: &Uri, headers: &HeaderMap, message: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        let body = if self.is_gzipped { gzip(&message)? } else { message };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        request.headers_mut().insert(CONTENT_TYPE, PROTOBUF);
        if self.is_gzipped {
            let gzip = HeaderValue::from_static("gzip");
            request.headers_mut().insert(CONTENT_ENCODING, gzip);
        }
        Ok(request)
    }
}

/// A channel whose connector handles TLS. tonic would refuse an https URL without its own TLS configuration.
fn channel(url: &Url, connector: Connector) -> Channel {
    let authority = &url[Position::BeforeHost..Position::AfterPort];
    let port = url
        .port_or_known_default()
        .map_or_else(String::new, |port| match url.port() {
            Some(_) => String::new(),
            None => format!(":{port}"),
        });
    Endpoint::from(uri(&format!("http://{authority}{port}")))
        .origin(uri(&format!("{}://{authority}", url.scheme())))
        .connect_timeout(CONNECT_TIMEOUT)
        .connect_with_connector_lazy(connector)
}

/// Converts a valid URL to the HTTP library's type, which accepts every URL with a host.
fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_default()
}

fn grpc_path(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    }
}

fn gzip(message: &[u8]) -> Result<Bytes, Failure> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let written = encoder.write_all(message).and_then(|()| encoder.finish());
    written.map(Bytes::from).map_err(|error| Failure {
        error: format!("cannot compress: {error}"),
        retry: Retry::Never,
    })
}

/// Interprets an answer over HTTP.
async fn read_answer(response: Response<Incoming>) -> Result<Accepted, Failure> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let is_protobuf = head.headers.get(CONTENT_TYPE) == Some(&PROTOBUF);
    if head.status.is_success() {
        // The receiver has accepted the request, even if the rest of the answer is lost.
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        return Ok(Accepted::decode(if is_protobuf { body } else { Bytes::new() }));
    }
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let message = match RpcStatus::decode(body.clone()) {
        Ok(status) if is_protobuf => status.message,
        _ => String::from_utf8_lossy(&body).trim().chars().take(200).collect(),
    };
    let retry_after = head
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok());
    Err(Failure::from_http(head.status, retry_after, &message))
}

/// The export response, which has the same encoding for all signals.
#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// google.rpc.Status without its details.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

impl Accepted {
    /// An undecodable answer counts as one without rejections.
    fn decode(response: Bytes) -> Self {
        let partial = ExportResponse::decode(response)
            .ok()
            .and_then(|response| response.partial_success)
            .unwrap_or_default();
        Self {
            rejected: u64::try_from(partial.rejected).unwrap_or(0),
            message: Some(partial.error_message).filter(|message| !message.is_empty()),
        }
    }
}

/// Passes encoded messages through unchanged.
#[derive(Debug, Clone, Copy)]
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
