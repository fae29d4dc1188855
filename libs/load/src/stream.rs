//! [`Stream`]: prepared requests in the order of their times, and the servers that receive them.

use std::error::Error;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::facts::RequestFacts;
use crate::http::request::{Head, TRACEPARENT_BYTES, Traceparent};

/// The reason why a source cannot prepare its next request.
pub type SourceError = Box<dyn Error + Send + Sync>;

/// A source of prepared requests. A separate thread calls it some time before the requests are due.
pub trait Requests: Send {
    /// The next request in order of time; `None` at the end. A call may take some time, because the queue before the pacing
    /// thread compensates for it. If the queue runs empty, requests are late. If a call fails, the requests before it are still
    /// sent.
    fn next(&mut self) -> Result<Option<Prepared>, SourceError>;
}

/// Everything that one call of [`crate::session::LoadSession::send`] sends.
pub struct Stream {
    /// Name of the stream in its summary: an endpoint, or `replay`.
    pub name: String,
    /// URL in the summary: of the endpoint, or of the targets.
    pub url: String,
    /// Addresses of the servers. [`Prepared::target`] is an index in this list. See
    /// [`crate::plan::target::Target::reachable_address`].
    pub targets: Vec<SocketAddr>,
    pub requests: Box<dyn Requests>,
    /// Maximum number of connections to all targets together.
    pub connections_max: usize,
    /// Maximum time of each wait: for a free connection, then for the response.
    pub timeout: Duration,
    /// Mean requests per second, as far as it is known. It determines the spin before each send, and the number of connections
    /// that are opened at the start.
    pub rate_hint: f64,
    /// Requested rate in the summary, requests per second. `None` for recorded times.
    pub rate_asked: Option<f64>,
}

/// A request that is ready to be sent, except for its ids.
#[derive(Debug)]
pub struct Prepared {
    /// Scheduled time, nanoseconds after the start of the stream.
    pub offset_ns: u64,
    /// Index in [`Stream::targets`].
    pub target: usize,
    pub facts: Arc<RequestFacts>,
    pub head: Head,
    /// Empty if the request has no body.
    pub body: Bytes,
    /// The recorded request that this one repeats.
    pub original: Option<Original>,
    /// Whether the source stores head, body and facts for many requests. Then this request needs no memory for them.
    pub is_shared: bool,
}

/// The recorded root that a request repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// Recorded HTTP status. `None`: unknown, so the new one is not compared.
    pub status: Option<i64>,
}

impl Prepared {
    /// Memory that only this request needs, bytes.
    pub fn held_bytes(&self) -> usize {
        if self.is_shared {
            size_of::<Self>()
        } else {
            size_of::<Self>() + self.head.as_bytes().len() + self.body.len() + self.facts.held_bytes()
        }
    }

    /// Number of bytes that the request has on the wire.
    pub fn len_bytes(&self) -> usize {
        self.head.as_bytes().len() + TRACEPARENT_BYTES + self.body.len()
    }

    /// The request without its first `skip` bytes.
    pub fn slices_from<'a>(&'a self, traceparent: &'a Traceparent, skip: usize) -> [IoSlice<'a>; 3] {
        let mut skip = skip;
        [self.head.as_bytes(), traceparent.as_slice(), &self.body].map(|part| {
            let skipped = skip.min(part.len());
            skip -= skipped;
            IoSlice::new(&part[skipped..])
        })
    }
}
