//! [`Refusal`]: why a request is not taken, with the code that makes the client do the right thing.
//!
//! Clients drop a request for good on INTERNAL and UNKNOWN, so a trouble of our own is UNAVAILABLE; and they retry
//! OUT_OF_RANGE for ever, so a message that is too large is RESOURCE_EXHAUSTED without a retry delay.

use std::time::Duration;

use http::StatusCode;

use super::compression;
use crate::journal::AppendError;

/// What a client waits before it sends a refused request again.
pub const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not what OTLP says it has to be.
    #[error("malformed request: {0}")]
    Malformed(String),
    /// It is larger than any message may be, as it came or decompressed.
    #[error("the message is larger than {limit} bytes, send fewer rows in one request")]
    TooLarge {
        /// The limit, bytes.
        limit: usize,
    },
    /// It is compressed in a way that is not known here.
    #[error("compression {0:?} is not supported, use one of {accepted}", accepted = compression::ACCEPTED)]
    UnsupportedCompression(String),
    /// Its content type is none of OTLP's.
    #[error(
        "content type {0:?} is not supported, use application/x-protobuf, application/json or application/grpc"
    )]
    UnsupportedContentType(String),
    /// It shows no token, or none that is known.
    #[error("no valid token was shown, send one as in authorization: Bearer TOKEN")]
    Unauthenticated,
    /// Nothing is served there.
    #[error("nothing is served at {0:?}")]
    UnknownPath(String),
    /// It is not a POST.
    #[error("telemetry is sent by POST")]
    MethodNotAllowed,
    /// gRPC needs HTTP/2.
    #[error("gRPC is served over HTTP/2 only")]
    NeedsHttp2,
    /// The journal does not take it now.
    #[error(transparent)]
    Busy(#[from] AppendError),
    /// All requests together are larger than what may be in memory at once.
    #[error("too many bytes of requests are under way, try again later")]
    TooMuchInFlight,
    /// It did not arrive in time, or the client went away.
    #[error("the request did not arrive whole: {0}")]
    Incomplete(String),
    /// A fault of our own.
    #[error("the normalizer met a fault of its own, try again later")]
    Trouble,
}

/// gRPC status codes that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrpcCode {
    /// The request itself is wrong: it is not sent again.
    InvalidArgument = 3,
    /// With a retry delay it is sent again; without, it is not.
    ResourceExhausted = 8,
    /// No such method or compression: it is not sent again.
    Unimplemented = 12,
    /// It is sent again.
    Unavailable = 14,
    /// No valid token: it is not sent again.
    Unauthenticated = 16,
}

impl Refusal {
    /// Its name in counters.
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
            Self::Trouble => "trouble",
        }
    }

    /// The gRPC status.
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
            Self::Busy(_) | Self::TooMuchInFlight | Self::Incomplete(_) | Self::Trouble => {
                GrpcCode::Unavailable
            }
        }
    }

    /// The HTTP status.
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
            Self::Busy(_) | Self::TooMuchInFlight | Self::Incomplete(_) | Self::Trouble => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// After what time the client is to send it again, if at all.
    pub fn retry_delay(&self) -> Option<Duration> {
        (self.grpc_code() == GrpcCode::Unavailable).then_some(RETRY_DELAY)
    }
}
