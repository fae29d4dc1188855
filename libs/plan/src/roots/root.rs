//! [`Root`]: a request, message or job that came from outside.

use std::sync::Arc;

use cctf_proto::cctf::{SpanId, TraceId};

use super::kind::Kind;

/// Module name of a root for which neither an answer nor a peer was recorded.
pub const UNKNOWN_MODULE: &str = "unknown";

/// A request, message or job that came from outside. It is one of two things: a call without a parent invocation, joined with
/// the invocation that answered it; or an invocation that no recorded call caused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Start of the call, nanoseconds since the Unix epoch. Without a recorded call, arrival of the invocation.
    pub at_ns: i64,
    /// Ids of the call. Without a recorded call, ids of the invocation.
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub origin: Origin,
    pub kind: Kind,
    /// Module that answered. If there is no answer, the first of these that is known: `peer_module`; the module that answered
    /// all other requests to the same peer; the module of the inventory that has the peer's name; the peer;
    /// [`UNKNOWN_MODULE`].
    pub module: Arc<str>,
    /// Instance that answered.
    pub instance: Option<Arc<str>>,
    /// Method, path and protocol, as the client reported them, or else as the server did.
    pub method: Option<Arc<str>>,
    pub path: Option<Arc<str>>,
    pub protocol: Option<Arc<str>>,
    /// Query and route, which only the answering invocation has.
    pub query: Option<Arc<str>>,
    pub route: Option<Arc<str>>,
    /// Receiver of the call as the client names it, such as host:port.
    pub peer: Option<Arc<str>>,
    /// Size of the request's body, as the client reported it, or else as the server did; `None` if unknown.
    pub body_bytes: Option<u64>,
    /// Size of the answer's body, from the same sources.
    pub answer_bytes: Option<u64>,
    /// Status that the client received, or else the status that the server reported. A timeout has none.
    pub status: Option<i64>,
    /// Whether the run has an invocation that processed this request.
    pub is_answered: bool,
    /// Whether this is a retry. A recorded retry is a root at its own time.
    pub is_resent: bool,
    /// Whether the request belongs to a user's session, so that its content may have depended on earlier answers.
    pub has_session: bool,
}

/// The receivers of a replay. They decide which roots can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Receivers {
    /// The application's services. They can get only HTTP requests.
    #[default]
    Services,
    /// Stand-ins. They can get all roots that a recorded invocation processed, because the plan has the work of such invocations.
    StandIns,
}

impl Receivers {
    /// Whether a root can be sent to these receivers.
    pub fn take(self, root: &Root) -> bool {
        match self {
            Self::Services => root.kind.can_be_sent(),
            Self::StandIns => root.is_answered,
        }
    }
}

/// The kind of row that a root was found in.
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
    /// The route, or else the path. It identifies the endpoint.
    pub fn shape(&self) -> Option<&Arc<str>> {
        self.route.as_ref().or(self.path.as_ref())
    }
}
