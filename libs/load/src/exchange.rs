//! One request and its outcome, as the threads pass it on, and the facts that all requests of a drive share.

use std::fmt;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use crate::http::response::ResponseError;
use crate::ids::Ids;
use crate::plan::sizes::step_of;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Number within the run, from 0. The ids follow from it.
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
}

/// A request that has ended, with or without a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// For a request that was never sent, the time at which it was given up.
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
    /// Time from the scheduled time to the send time, nanoseconds.
    pub fn lateness_ns(&self) -> u64 {
        self.sent
            .monotonic_ns
            .saturating_sub(self.sent.request.intended_ns)
    }

    /// Whether the status is 200 to 399.
    pub fn is_success(&self) -> bool {
        (200..400).contains(&self.status)
    }

    /// Whether its bytes were ever passed to a socket.
    pub fn left(&self) -> bool {
        !matches!(
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

/// The facts that all requests of one drive share.
#[derive(Debug, Clone)]
pub struct DriveFacts {
    /// Name of the endpoint: the `attack` of `events_client.jsonl`.
    pub name: String,
    pub method: String,
    pub url: String,
    pub host: String,
    pub port: u16,
    /// Bytes of the bodies, by step of size.
    pub bodies_bytes: Vec<u64>,
    pub run_id: String,
    pub ids: Ids,
}

impl DriveFacts {
    /// Bytes of the body of request `number`.
    pub fn body_bytes_out(&self, number: u64) -> u64 {
        let step = step_of(number, self.bodies_bytes.len());
        self.bodies_bytes.get(step).copied().unwrap_or(0)
    }
}

/// Exchanges of one drive that ended at about the same time.
#[derive(Debug)]
pub struct Batch {
    pub facts: Arc<DriveFacts>,
    /// In the order in which they ended.
    pub exchanges: Vec<Exchange>,
}

/// Counters of one drive, which a progress display may read at any time.
#[derive(Debug, Default)]
pub struct DriveProgress {
    /// Requests whose scheduled time has come.
    pub due: AtomicU64,
    /// Requests that have ended.
    pub ended: AtomicU64,
    /// Ended requests without a status from 200 to 399.
    pub failed: AtomicU64,
    /// The first reason why no further connection could be opened.
    bound: OnceLock<String>,
}

impl DriveProgress {
    /// Records that the system refuses a further connection.
    pub fn bound_by(&self, connections: usize, error: &io::Error) {
        self.bound.get_or_init(|| {
            let remedy = match error.raw_os_error() {
                Some(libc::EMFILE) => "; raise `ulimit -n` of the driver",
                _ => "",
            };
            format!("maximum of {connections} connections reached: {error}{remedy}")
        });
    }

    /// The reason why there were fewer connections than requested.
    pub fn bound(&self) -> Option<&str> {
        self.bound.get().map(String::as_str)
    }
}
