//! One OTLP/gRPC destination: sends requests that are already bytes, again and again where the answer is not final.

use std::time::Duration;

use bytes::{BufMut, Bytes};
use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::time::Instant;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// Limit of one attempt.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// First pause after a failed attempt; it doubles up to the longest.
const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
const EXPORT_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// What a destination has said to a request in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Spans that it rejected by partial success.
    pub rejected: u64,
    /// Why, or whatever else it wanted to say.
    pub message: Option<String>,
}

/// A destination. Cloning it shares the connection.
#[derive(Debug, Clone)]
pub struct OtlpClient {
    channel: Channel,
}

impl OtlpClient {
    /// A destination without TLS that is connected to when there is something to send. Must be called inside a runtime.
    pub fn new(destination: Endpoint) -> Self {
        let destination = destination
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ATTEMPT_TIMEOUT)
            .tcp_nodelay(true);
        Self {
            channel: destination.connect_lazy(),
        }
    }

    /// Sends until the answer is final, or until the deadline. `note` hears every error on the way.
    pub async fn send_until(
        &self,
        request: Bytes,
        deadline: Option<Instant>,
        note: impl Fn(&str),
    ) -> Result<Accepted, String> {
        let mut backoff = BACKOFF_MIN;
        loop {
            let status = match self.attempt(request.clone()).await {
                Ok(accepted) => return Ok(accepted),
                Err(status) => status,
            };
            let error = describe(&status);
            note(&error);
            let pause = match retry_pause(&status, backoff) {
                Some(pause) if deadline.is_none_or(|deadline| Instant::now() + pause < deadline) => pause,
                _ => return Err(error),
            };
            tokio::time::sleep(pause).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    async fn attempt(&self, request: Bytes) -> Result<Accepted, Status> {
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client
            .ready()
            .await
            .map_err(|error| Status::unavailable(chain(&error)))?;
        let path = PathAndQuery::from_static(EXPORT_PATH);
        let response = client
            .unary(tonic::Request::new(request), path, RequestBytesCodec)
            .await?;
        let partial = response.into_inner().partial_success.unwrap_or_default();
        Ok(Accepted {
            rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
            message: Some(partial.error_message).filter(|message| !message.is_empty()),
        })
    }
}

/// How long to wait before the next attempt; None if the answer is final (OTLP specification, failures over gRPC).
fn retry_pause(status: &Status, backoff: Duration) -> Option<Duration> {
    let told = status.get_details_retry_info().and_then(|info| info.retry_delay);
    let transport = std::error::Error::source(status).is_some();
    match status.code() {
        Code::ResourceExhausted => told,
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => {
            Some(told.unwrap_or(backoff))
        }
        Code::Aborted | Code::OutOfRange | Code::DataLoss => Some(told.unwrap_or(backoff)),
        _ if transport => Some(backoff),
        _ => None,
    }
}

fn describe(status: &Status) -> String {
    let cause = std::error::Error::source(status)
        .map(|source| format!(": {}", chain(source)))
        .unwrap_or_default();
    format!("{:?}: {}{cause}", status.code(), status.message())
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Sends bytes that are already a request, and decodes the response.
#[derive(Debug, Clone, Copy)]
struct RequestBytesCodec;

impl Codec for RequestBytesCodec {
    type Encode = Bytes;
    type Decode = ExportTraceServiceResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for RequestBytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, destination: &mut EncodeBuf<'_>) -> Result<(), Status> {
        destination.put(item);
        Ok(())
    }
}

impl Decoder for RequestBytesCodec {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let decoded = ExportTraceServiceResponse::decode(source);
        decoded
            .map(Some)
            .map_err(|error| Status::internal(format!("decode the collector's answer: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::ErrorDetails;

    #[test]
    fn only_what_the_specification_calls_retryable_is_sent_again() {
        let backoff = Duration::from_millis(7);
        for code in [
            Code::Unavailable,
            Code::Unknown,
            Code::Cancelled,
            Code::DeadlineExceeded,
            Code::Aborted,
        ] {
            assert_eq!(
                retry_pause(&Status::new(code, ""), backoff),
                Some(backoff),
                "{code:?}"
            );
        }
        for code in [
            Code::InvalidArgument,
            Code::PermissionDenied,
            Code::Unimplemented,
            Code::ResourceExhausted,
        ] {
            assert_eq!(retry_pause(&Status::new(code, ""), backoff), None, "{code:?}");
        }
    }

    #[test]
    fn a_destination_that_names_a_pause_gets_it() {
        let told = Duration::from_millis(300);
        for code in [Code::ResourceExhausted, Code::Unavailable] {
            let status = Status::with_error_details(code, "full", ErrorDetails::with_retry_info(Some(told)));
            assert_eq!(retry_pause(&status, BACKOFF_MIN), Some(told), "{code:?}");
        }
    }
}
