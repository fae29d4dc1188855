//! The input and output types of the join.

use aggregate::ids::{InstanceId, NameId, RunId};
use cctf_proto::cctf::SpanId;
use serde::{Deserialize, Serialize};

use super::ids::{EntryId, RowRef};

/// The role of a span in the join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// SERVER.
    Server,
    /// A CONSUMER span that handles a message.
    Consumer,
    /// A CONSUMER span with the operation `receive`. If its parent is the message's sender, the span handles that message. If
    /// its parent is a span of its own process, the span is a poll.
    Receipt,
    /// Neither work nor a call: a CONSUMER span that polls for messages or acknowledges them, or a CLIENT span that looks up a
    /// name.
    Poll,
    /// INTERNAL.
    Internal,
    /// CLIENT.
    Client,
    /// PRODUCER.
    Producer,
    /// A placeholder: the span has not arrived yet, but a child names it as its parent.
    Missing,
}

impl Role {
    /// Whether the span sends something to others.
    pub fn is_call(self) -> bool {
        matches!(self, Self::Client | Self::Producer)
    }

    pub(super) fn is_callee(self) -> bool {
        matches!(self, Self::Server | Self::Consumer | Self::Receipt)
    }
}

/// The facts about a span that arrives.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_span_id: Option<SpanId>,
    pub role: Role,
    /// Whether the parent is in another process, if the telemetry says so. For a CONSUMER that handles a message, true means
    /// that the parent does not affect what the span is.
    pub parent_is_remote: Option<bool>,
    /// Whether the span may share its id with a span of another process. In Zipkin, a call and its answer do.
    pub may_share_id: bool,
    /// The instance that reported it.
    pub instance: Option<InstanceId>,
    /// End minus start, nanoseconds.
    pub duration_ns: i64,
    /// End, nanoseconds since the Unix epoch.
    pub end_unix_ns: u64,
    /// The receiver of a call.
    pub peer: Option<NameId>,
    /// The run of a call's row, if it is known when the call arrives.
    pub run: Option<RunId>,
}

/// The call that reached an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The CLIENT or PRODUCER span.
    pub span_id: SpanId,
    /// The instance that called.
    pub instance: Option<InstanceId>,
    /// The call's duration, nanoseconds.
    pub duration_ns: i64,
    /// The call's end, nanoseconds since the Unix epoch.
    pub end_unix_ns: u64,
    /// Number of spans so far that name this call as their caller; at most 255.
    pub callees: u8,
}

/// The result for a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// An invocation.
    Invocation {
        /// The invocation that caused it.
        parent: Option<SpanId>,
        /// The call that reached it.
        caller: Option<Caller>,
        /// Whether the window passed before the caller was found.
        orphan: bool,
    },
    /// A call.
    Call {
        /// The invocation that made it.
        ancestor: Option<SpanId>,
        /// The instance that answered, where it is known.
        callee: Option<InstanceId>,
        /// Whether the window passed before the ancestor was found.
        orphan: bool,
    },
    /// The span has no row: it is inner work, a poll, or a second instrumentation.
    Nothing,
}

/// The join's result for a span that has just arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// The outcome of the span is known.
    Resolved(Outcome),
    /// The outcome depends on other spans. The row of the span waits under this entry.
    Waits(EntryId),
}

/// A row whose outcome has become known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    pub row: RowRef,
    pub outcome: Outcome,
}

/// A call that has left the table. No further facts about it can become known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evicted {
    /// The instance that called.
    pub instance: Option<InstanceId>,
    /// The instance that answered, if one was seen.
    pub callee: Option<InstanceId>,
    /// The receiver.
    pub peer: Option<NameId>,
    /// Whether the call is a message. Its peer is then a broker, which serves many receivers.
    pub is_message: bool,
    /// The trace. It determines the run if that was not known at the arrival.
    pub trace_id: [u8; 16],
    /// The run of its row, if that was known when it arrived.
    pub run: Option<RunId>,
}
