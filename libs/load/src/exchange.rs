//! [`Exchange`]: a request with its outcome. The threads pass it on to each other.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::facts::RequestFacts;
use crate::http::response::ResponseError;
use crate::stream::{Original, Prepared};

/// A request that is sent later than this after its scheduled time counts as late. The limit is twenty times the p99 of
/// lateness that the driver must achieve. It is similar to a service time: a later request meets another queue than planned.
pub const LATE_NS: u64 = 10_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Number within the run, from 0. The trace id and the span id are computed from it.
    pub number: u64,
    /// Scheduled time, nanoseconds of the monotonic clock.
    pub intended_ns: u64,
}

/// A request whose first bytes were passed to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    pub request: Request,
    /// Send time, nanoseconds of the monotonic clock.
    pub monotonic_ns: u64,
    /// Send time, nanoseconds since the Unix epoch.
    pub unix_ns: u64,
}

impl Sent {
    /// Records the current time as the send time of `request`.
    pub fn now(request: Request) -> Self {
        Self {
            request,
            monotonic_ns: crate::clock::monotonic_ns(),
            unix_ns: crate::clock::unix_ns(),
        }
    }

    /// Time from the scheduled time to the send time, nanoseconds.
    pub fn lateness_ns(&self) -> u64 {
        self.monotonic_ns.saturating_sub(self.request.intended_ns)
    }
}

/// A request that has ended, with or without a response.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub facts: Arc<RequestFacts>,
    /// The recorded request that this request repeats.
    pub original: Option<Original>,
    pub body_bytes_out: u64,
    /// Send time. For a request that was never sent, the time at which it was given up.
    pub sent: Sent,
    /// From the first byte passed to the socket to the last byte of the response, nanoseconds.
    pub latency_ns: u64,
    /// HTTP status; 0 without a response.
    pub status: u16,
    pub body_bytes_in: u64,
    /// The reason if there is no response.
    pub failure: Option<Failure>,
    /// Number of times it was sent again because the server had closed an idle connection.
    pub resends: u8,
}

impl Exchange {
    /// A request without an outcome yet. It was sent at `sent`, or given up at that time.
    pub fn new(sent: Sent, prepared: &Prepared) -> Self {
        Self {
            facts: Arc::clone(&prepared.facts),
            original: prepared.original,
            body_bytes_out: prepared.body.len() as u64,
            sent,
            latency_ns: 0,
            status: 0,
            body_bytes_in: 0,
            failure: None,
            resends: 0,
        }
    }

    /// A request without a response.
    pub fn failed(sent: Sent, prepared: &Prepared, failure: Failure) -> Self {
        Self {
            failure: Some(failure),
            ..Self::new(sent, prepared)
        }
    }

    /// Memory of the exchange, bytes. Its facts are counted in full, although other exchanges may share them.
    pub fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.facts.held_bytes()
    }

    /// Whether the status is 200 to 399.
    pub fn is_success(&self) -> bool {
        (200..400).contains(&self.status)
    }

    /// Whether any bytes of the request were passed to a socket.
    pub fn left(&self) -> bool {
        self.resends > 0
            || !matches!(
                self.failure,
                Some(Failure::Connect(_) | Failure::QueueFull | Failure::NoConnection)
            )
    }

    /// The error's text in `events_client.jsonl` and the summary; empty for a success.
    pub fn error_text(&self) -> String {
        match (self.failure, self.is_success()) {
            (Some(failure), _) => failure.to_string(),
            (None, true) => String::new(),
            (None, false) => http::StatusCode::from_u16(self.status)
                .map_or_else(|_| self.status.to_string(), |status| status.to_string()),
        }
    }
}

/// The reason why a request has no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection; the system's error number.
    Connect(i32),
    /// Writing or reading failed; the system's error number.
    Io(i32),
    /// The server closed the connection before the response was complete.
    Closed,
    /// No complete response within the timeout.
    Timeout,
    /// The response is not HTTP/1.1.
    BadResponse(ResponseError),
    /// Never sent: too many requests waited for a connection.
    QueueFull,
    /// Never sent: no connection became free within the timeout.
    NoConnection,
    /// The run was interrupted before the response.
    Interrupted,
}

impl Failure {
    /// The value of the `error.type` attribute, of low cardinality.
    pub fn error_type(self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Io(_) => "io",
            Self::Closed => "closed",
            Self::Timeout => "timeout",
            Self::BadResponse(_) => "bad_response",
            Self::QueueFull | Self::NoConnection => "not_sent",
            Self::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(errno) => write!(formatter, "connect: {}", io::Error::from_raw_os_error(*errno)),
            Self::Io(errno) => write!(
                formatter,
                "send or receive: {}",
                io::Error::from_raw_os_error(*errno)
            ),
            Self::Closed => formatter.write_str("connection closed before the response was whole"),
            Self::Timeout => formatter.write_str("timeout: no whole response in time"),
            Self::BadResponse(error) => error.fmt(formatter),
            Self::QueueFull => formatter.write_str("not sent: too many requests waited for a connection"),
            Self::NoConnection => formatter.write_str("not sent: no connection became free in time"),
            Self::Interrupted => formatter.write_str("interrupted"),
        }
    }
}
