//! One request and what became of it, as the threads hand it on; and the facts that all requests of a drive share.

use std::fmt;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use super::ids::Ids;
use super::response::ResponseError;
use super::sizes::step_of;

/// A request that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Number within the driven run, from 0. The ids follow from it.
    pub number: u64,
    /// When it should leave, nanoseconds of the monotonic clock.
    pub intended_ns: u64,
}

/// A request whose first bytes were handed to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The request.
    pub request: Request,
    /// When it left, nanoseconds of the monotonic clock.
    pub monotonic_ns: u64,
    /// The same moment, nanoseconds since the Unix epoch.
    pub unix_ns: u64,
}

impl Sent {
    /// Stamps `request` as leaving now.
    pub fn now(request: Request) -> Self {
        Self {
            request,
            monotonic_ns: super::clock::monotonic_ns(),
            unix_ns: super::clock::unix_ns(),
        }
    }
}

/// A request that has ended, one way or another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    /// When the request left. For one that never left: when it was given up.
    pub sent: Sent,
    /// From the first byte handed to the socket to the last byte of the response, nanoseconds.
    pub latency_ns: u64,
    /// HTTP status, 0 without a response.
    pub status: u16,
    /// Bytes of the response's body.
    pub body_bytes_in: u64,
    /// Why there is no response.
    pub failure: Option<Failure>,
    /// How often it was sent again because the server had closed a connection that lay idle.
    pub resends: u8,
}

impl Exchange {
    /// How much later than intended the request left, nanoseconds.
    pub fn lateness_ns(&self) -> u64 {
        self.sent
            .monotonic_ns
            .saturating_sub(self.sent.request.intended_ns)
    }

    /// Whether it was answered with a status from 200 to 399.
    pub fn is_success(&self) -> bool {
        (200..400).contains(&self.status)
    }

    /// Whether its bytes were ever handed to a socket.
    pub fn left(&self) -> bool {
        !matches!(
            self.failure,
            Some(Failure::Connect(_) | Failure::QueueFull | Failure::NoConnection)
        )
    }

    /// The error as `events_client.jsonl` and the summary tell it; empty for a success.
    pub fn error_text(&self) -> String {
        match (self.failure, self.is_success()) {
            (Some(failure), _) => failure.to_string(),
            (None, true) => String::new(),
            (None, false) => http::StatusCode::from_u16(self.status)
                .map_or_else(|_| self.status.to_string(), |status| status.to_string()),
        }
    }
}

/// Why a request has no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be made; the system's error number.
    Connect(i32),
    /// Writing or reading failed; the system's error number.
    Io(i32),
    /// The server closed the connection before the response was whole.
    Closed,
    /// No whole response within the timeout.
    Timeout,
    /// What came back is not HTTP/1.1.
    BadResponse(ResponseError),
    /// Never sent: too many requests waited for a connection.
    QueueFull,
    /// Never sent: no connection became free within the timeout.
    NoConnection,
    /// The run was interrupted while it was under way.
    Interrupted,
}

impl Failure {
    /// The value of the `error.type` attribute: one of few.
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

/// What all requests of one drive have in common.
#[derive(Debug, Clone)]
pub struct DriveFacts {
    /// Name of the endpoint, the `attack` of `events_client.jsonl`.
    pub name: String,
    /// HTTP method.
    pub method: String,
    /// Whole URL.
    pub url: String,
    /// Host of the server.
    pub host: String,
    /// Port of the server.
    pub port: u16,
    /// Bytes of the bodies, one for each size.
    pub bodies_bytes: Vec<u64>,
    /// The run.
    pub run_id: String,
    /// Ids by request number.
    pub ids: Ids,
}

impl DriveFacts {
    /// Bytes of the body of the request of such a number.
    pub fn body_bytes_out(&self, number: u64) -> u64 {
        let step = step_of(number, self.bodies_bytes.len());
        self.bodies_bytes.get(step).copied().unwrap_or(0)
    }
}

/// Exchanges of one drive that ended at about the same time.
#[derive(Debug)]
pub struct Batch {
    /// What they share.
    pub facts: Arc<DriveFacts>,
    /// In the order of their ends.
    pub exchanges: Vec<Exchange>,
}

/// Counters that a progress display can read at any time.
#[derive(Debug, Default)]
pub struct Progress {
    /// Requests that were due so far.
    pub due: AtomicU64,
    /// Requests that have ended.
    pub ended: AtomicU64,
    /// Of those, without a status from 200 to 399.
    pub failed: AtomicU64,
    /// What kept the driver from opening one more connection, the first time.
    bound: OnceLock<String>,
}

impl Progress {
    /// Notes that the system refuses one more connection beside so many.
    pub fn bound_by(&self, connections: usize, error: &io::Error) {
        self.bound.get_or_init(|| {
            let remedy = match error.raw_os_error() {
                Some(libc::EMFILE) => "; raise `ulimit -n` of the driver",
                _ => "",
            };
            format!("{connections} connections at most: {error}{remedy}")
        });
    }

    /// Why there were fewer connections than asked for, if there were.
    pub fn bound(&self) -> Option<&str> {
        self.bound.get().map(String::as_str)
    }
}
