//! [`Root`]: a request, message or job that came from outside.

use std::sync::Arc;

use cctf_proto::cctf::{SpanId, TraceId};

use super::kind::Kind;

/// The module of a root of which the run has neither an answer nor a peer.
pub const UNKNOWN_MODULE: &str = "unknown";

/// A request, message or job that came from outside: a call without an invocation above it, joined with the invocation that
/// answered it; or an invocation that no recorded call caused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Start of the call, else arrival of the invocation, nanoseconds since the Unix epoch.
    pub at_ns: i64,
    /// Ids of the call, else of the invocation.
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub origin: Origin,
    pub kind: Kind,
    /// Module that answered. Without an answer the first that is known: `peer_module`; the module behind the same peer in
    /// all other roots, if it is one; the module of that name in the inventory; the peer; [`UNKNOWN_MODULE`].
    pub module: Arc<str>,
    /// Instance that answered.
    pub instance: Option<Arc<str>>,
    /// As the client reported them, else the server: method, path and protocol.
    pub method: Option<Arc<str>>,
    pub path: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    /// Of the answer alone: a call has neither.
    pub query: Option<Arc<str>>,
    pub route: Option<Arc<str>>,
    /// Receiver of the call as the client names it, such as host:port.
    pub peer: Option<Arc<str>>,
    /// Size of the request's body as the client reported it, else the server; `None` if unknown.
    pub body_bytes: Option<u64>,
    /// The same of the answer's body.
    pub answer_bytes: Option<u64>,
    /// Status that the client saw, else the one that the server reported. A timeout has none.
    pub status: Option<i64>,
    /// Whether an invocation that processed it is in the run.
    pub is_answered: bool,
    /// Whether the client sent it before: a recorded retry is a root at its own time.
    pub is_resent: bool,
    /// Whether it belongs to a user's session: what was sent may have depended on earlier answers.
    pub has_session: bool,
}

/// The receivers of roots, which decide what can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Receivers {
    /// The application's services: requests over HTTP.
    #[default]
    Services,
    /// Stand-ins: everything that an invocation in the run processed, because its work is known.
    StandIns,
}

impl Receivers {
    /// Whether a root can be sent to them.
    pub fn take(self, root: &Root) -> bool {
        match self {
            Self::Services => root.kind.can_be_sent(),
            Self::StandIns => root.is_answered,
        }
    }
}

/// The row that shows a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A call without parent.
    Call,
    /// An invocation that neither an invocation nor a call caused.
    Invocation,
    /// A call whose caller is missing.
    OrphanCall,
    /// An invocation whose caller is missing.
    OrphanInvocation,
}

impl Origin {
    pub const fn is_orphan(self) -> bool {
        matches!(self, Self::OrphanCall | Self::OrphanInvocation)
    }

    pub const fn is_call(self) -> bool {
        matches!(self, Self::Call | Self::OrphanCall)
    }
}

impl Root {
    /// The route, else the path: the name of its endpoint.
    pub fn shape(&self) -> Option<&Arc<str>> {
        self.route.as_ref().or(self.path.as_ref())
    }
}
