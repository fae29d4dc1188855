//! [`Refusal`]: the reason why a request is refused, with the status code that makes the client react correctly.
//!
//! Internal failures are answered with UNAVAILABLE, because clients permanently drop a request on INTERNAL and UNKNOWN. Messages
//! that are too large are answered with RESOURCE_EXHAUSTED without a retry delay, because clients retry OUT_OF_RANGE forever.

use std::time::Duration;

use http::StatusCode;

use crate::journal::AppendError;

/// Accepted compressions, as named in headers.
pub(super) const COMPRESSIONS: &str = "identity,gzip,zstd";

/// Time that a client should wait before it retries a refused request.
pub const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The reason why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request violates the OTLP specification.
    #[error("malformed request: {0}")]
    Malformed(String),
    /// The request exceeds the maximum size, compressed or decompressed.
    #[error("the message exceeds {limit} bytes; send fewer rows per request")]
    TooLarge { limit: usize },
    #[error("unsupported compression {0:?}; use one of {accepted}", accepted = COMPRESSIONS)]
    UnsupportedCompression(String),
    #[error(
        "unsupported content type {0:?}; use application/x-protobuf, application/json or application/grpc"
    )]
    UnsupportedContentType(String),
    #[error("missing or invalid bearer token; send the header authorization: Bearer TOKEN")]
    Unauthenticated,
    #[error("unknown path {0:?}")]
    UnknownPath(String),
    #[error("method not allowed, use POST")]
    MethodNotAllowed,
    #[error("gRPC requires HTTP/2")]
    NeedsHttp2,
    /// The journal cannot accept it at the moment.
    #[error(transparent)]
    Busy(#[from] AppendError),
    /// All requests in progress together exceed the memory for them.
    #[error("too many bytes of requests in progress; retry later")]
    TooMuchInFlight,
    /// The request did not arrive in time, or the client disconnected.
    #[error("incomplete request: {0}")]
    Incomplete(String),
    #[error("internal error; retry later")]
    Internal,
}

/// gRPC status codes that the receiver returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrpcCode {
    /// The request is invalid. Clients do not retry it.
    InvalidArgument = 3,
    /// Clients retry it only with a retry delay.
    ResourceExhausted = 8,
    /// Unknown method or compression. Clients do not retry it.
    Unimplemented = 12,
    /// Clients retry it.
    Unavailable = 14,
    /// No valid token. Clients do not retry it.
    Unauthenticated = 16,
}

impl Refusal {
    /// Name in metrics. Names never change, because dashboards use them.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::TooLarge { .. } => "too_large",
            Self::UnsupportedCompression(_) => "unsupported_compression",
            Self::UnsupportedContentType(_) => "unsupported_content_type",
            Self::Unauthenticated => "unauthenticated",
            Self::UnknownPath(_) => "unknown_path",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::NeedsHttp2 => "needs_http2",
            Self::Busy(AppendError::Full) => "queue_full",
            Self::Busy(AppendError::DiskFull) => "disk_full",
            Self::Busy(AppendError::Closed) => "shutting_down",
            Self::TooMuchInFlight => "too_much_in_flight",
            Self::Incomplete(_) => "incomplete",
            Self::Internal => "trouble",
        }
    }

    pub fn grpc_code(&self) -> GrpcCode {
        match self {
            Self::Malformed(_) => GrpcCode::InvalidArgument,
            Self::TooLarge { .. } => GrpcCode::ResourceExhausted,
            Self::Unauthenticated => GrpcCode::Unauthenticated,
            Self::UnsupportedCompression(_)
            | Self::UnsupportedContentType(_)
            | Self::UnknownPath(_)
            | Self::MethodNotAllowed
            | Self::NeedsHttp2 => GrpcCode::Unimplemented,
            Self::Busy(_) | Self::TooMuchInFlight | Self::Incomplete(_) | Self::Internal => {
                GrpcCode::Unavailable
            }
        }
    }

    pub fn http_status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedCompression(_) | Self::UnsupportedContentType(_) => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::UnknownPath(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NeedsHttp2 => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Busy(_) | Self::TooMuchInFlight | Self::Incomplete(_) | Self::Internal => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// Time after which the client should retry; `None` if it should not.
    pub fn retry_delay(&self) -> Option<Duration> {
        (self.grpc_code() == GrpcCode::Unavailable).then_some(RETRY_DELAY)
    }
}
