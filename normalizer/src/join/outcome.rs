//! The types in which the join takes spans and returns outcomes.

use aggregate::ids::{InstanceId, NameId, RunId};
use cctf_proto::cctf::SpanId;
use serde::{Deserialize, Serialize};

use super::ids::{EntryId, RowRef};

/// What a span is to the join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// SERVER.
    Server,
    /// CONSUMER that handles a message.
    Consumer,
    /// CONSUMER whose telemetry says that it receives. Below the message's sender it handles that message; below a span of
    /// its own process it is a poll.
    Receipt,
    /// Neither work nor a call: CONSUMER that asks for or settles messages, CLIENT that looks up a name.
    Poll,
    /// INTERNAL.
    Internal,
    /// CLIENT.
    Client,
    /// PRODUCER.
    Producer,
    /// Not arrived yet: some child names it.
    Missing,
}

impl Role {
    /// Whether it sends to others.
    pub fn is_call(self) -> bool {
        matches!(self, Self::Client | Self::Producer)
    }

    pub(super) fn is_callee(self) -> bool {
        matches!(self, Self::Server | Self::Consumer | Self::Receipt)
    }
}

/// A span that arrives.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_span_id: Option<SpanId>,
    pub role: Role,
    /// Whether the parent is in another process, if the telemetry says so. For a CONSUMER that handles a message: true if
    /// the parent does not decide what the span is.
    pub parent_is_remote: Option<bool>,
    /// Whether it may share its id with a span of another process, as a call and its answer do in Zipkin.
    pub may_share_id: bool,
    /// The instance that made it.
    pub instance: Option<InstanceId>,
    /// End less start, nanoseconds.
    pub duration_ns: i64,
    /// End, nanoseconds since the Unix epoch.
    pub end_unix_ns: u64,
    /// The receiver of a call.
    pub peer: Option<NameId>,
    /// The run of a call's row, as far as it is known when the call arrives.
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
    /// Number of spans so far that name it as their caller, at most 255.
    pub callees: u8,
}

/// What a span turned out to be.
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
    /// No row: inner work, a poll, or one request seen by a second instrumentation.
    Nothing,
}

/// The join's answer to a span that arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// Its outcome is known.
    Resolved(Outcome),
    /// Its outcome depends on other spans. Its row waits under this entry.
    Waits(EntryId),
}

/// A row whose outcome has become known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    pub row: RowRef,
    pub outcome: Outcome,
}

/// A call that has left the table. Nothing more can become known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evicted {
    /// The instance that called.
    pub instance: Option<InstanceId>,
    /// The instance that answered, if one was seen.
    pub callee: Option<InstanceId>,
    /// The receiver.
    pub peer: Option<NameId>,
    /// Whether it sent a message: its peer is a broker that serves many receivers.
    pub is_message: bool,
    /// The trace, from which the run follows if it was not known.
    pub trace_id: [u8; 16],
    /// The run of its row, if that was known when it arrived.
    pub run: Option<RunId>,
}
