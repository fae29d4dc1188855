//! What the join keeps of a span, and what it says of one.

use cctf_proto::cctf::SpanId;
use serde::{Deserialize, Serialize};

/// No entry, no row, no instance, no peer.
pub(crate) const NONE: u32 = u32::MAX;
/// No span.
pub(super) const NO_SPAN: [u8; 8] = [0; 8];

/// What a span is to the join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// SERVER.
    Server,
    /// CONSUMER that handles a message.
    Consumer,
    /// CONSUMER that says it receives. Below the message's sender it handles that message; below a span of its own process
    /// it is a poll.
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
    /// The trace.
    pub trace_id: [u8; 16],
    /// The span.
    pub span_id: [u8; 8],
    /// Its parent.
    pub parent_span_id: Option<SpanId>,
    /// What it is.
    pub role: Role,
    /// Whether the parent is in another process, if the telemetry says so; of a CONSUMER that handles, true if it need not be
    /// looked at.
    pub parent_is_remote: Option<bool>,
    /// Whether it may share its id with a span of another process, as a call and its answer do in Zipkin.
    pub may_share_id: bool,
    /// The instance that made it, a number of the caller's choice.
    pub instance: u32,
    /// End less start, nanoseconds.
    pub duration_ns: i64,
    /// End, nanoseconds since the Unix epoch.
    pub end_unix_ns: u64,
    /// Whom a call was sent to, a number of the caller's choice.
    pub peer: u32,
    /// The run of a call's row, as far as it is known when it arrives.
    pub run: Option<u32>,
}

/// The call that reached an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The CLIENT or PRODUCER span.
    pub span_id: SpanId,
    /// The instance that called.
    pub instance: u32,
    /// The call's duration, nanoseconds.
    pub duration_ns: i64,
    /// The call's end, nanoseconds since the Unix epoch.
    pub end_unix_ns: u64,
    /// How many spans name it as their caller up to now, at most 255.
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
        callee: Option<u32>,
        /// Whether the window passed before the ancestor was found.
        orphan: bool,
    },
    /// No row: inner work, a poll, or one request seen by a second instrumentation.
    Nothing,
}

/// A held row whose outcome is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The number that the row was held under.
    pub row: u32,
    /// What it turned out to be.
    pub outcome: Outcome,
}

/// A call that has left the table: what is known of it now is all that will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Departed {
    /// The instance that called.
    pub instance: u32,
    /// The instance that answered, if one was seen.
    pub callee: Option<u32>,
    /// Whom it was sent to.
    pub peer: u32,
    /// Whether it sent a message, whose peer is a broker with many others behind it.
    pub is_message: bool,
    /// The trace, by which the run is found where it was not known.
    pub trace_id: [u8; 16],
    /// The run of its row, if that was known when it arrived.
    pub run: Option<u32>,
}

/// A span in the table.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Entry {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_span_id: [u8; 8],
    /// Nearest invocation at or above, once known.
    pub ancestor: [u8; 8],
    /// When it is looked at next.
    pub deadline: u64,
    /// When the window of its own span, and of those known to hang on it, has passed.
    pub needed_until: u64,
    pub duration_ns: i64,
    pub end_unix_ns: u64,
    pub instance: u32,
    pub callee_instance: u32,
    pub peer: u32,
    pub row: u32,
    /// The entry that this one waits on, and its place in the list of those that do.
    pub waits_on: u32,
    pub next_waiter: u32,
    pub previous_waiter: u32,
    pub first_waiter: u32,
    /// The next entry of the same trace and span id (a CLIENT and a SERVER that share one, as Zipkin has it).
    pub next_same_id: u32,
    pub callees: u8,
    pub role: Role,
    facts: u16,
}

const _: () = assert!(
    size_of::<Entry>() == 112,
    "told in the memory that JoinTable takes"
);

/// A bit of an entry's facts. As bytes of their own they would make every entry longer by eight.
#[derive(Clone, Copy)]
#[repr(u16)]
pub(super) enum Fact {
    /// `ancestor` is known.
    Known = 1,
    /// It is a SERVER invocation, or below one of its own instance with no call between; decides on second
    /// instrumentations.
    WithinServer = 1 << 1,
    /// The telemetry says that the parent is in another process.
    ParentIsRemote = 1 << 2,
    Alive = 1 << 3,
    /// The telemetry says that the parent is in the same process.
    ParentIsLocal = 1 << 4,
    /// It may share its id with a span of another process.
    MayShareId = 1 << 5,
    /// It hangs on the best parent that has arrived, and a better one may come within its window.
    Tentative = 1 << 6,
    /// The way up from it ends for certain: at a root, or where it was cut. It is on no cycle.
    Rooted = 1 << 7,
    /// What it turned out to be has been reported.
    Settled = 1 << 8,
    /// Its row waits for a decision above in a second window.
    SecondWindow = 1 << 9,
    /// It is a call whose run is known: until it is known itself, `ancestor` holds that, then `next_waiter`.
    HasRun = 1 << 10,
    /// It is kept for a second window, since a cycle may still close over it.
    Kept = 1 << 11,
}

impl Entry {
    pub(super) fn is(&self, fact: Fact) -> bool {
        self.facts & fact as u16 != 0
    }

    pub(super) fn set(&mut self, fact: Fact, is_so: bool) {
        self.facts = self.facts & !(fact as u16) | if is_so { fact as u16 } else { 0 };
    }

    pub(super) fn missing(trace_id: [u8; 16], span_id: [u8; 8]) -> Self {
        Self {
            trace_id,
            span_id,
            parent_span_id: NO_SPAN,
            ancestor: NO_SPAN,
            deadline: 0,
            needed_until: 0,
            duration_ns: 0,
            end_unix_ns: 0,
            instance: NONE,
            callee_instance: NONE,
            peer: NONE,
            row: NONE,
            waits_on: NONE,
            next_waiter: NONE,
            previous_waiter: NONE,
            first_waiter: NONE,
            next_same_id: NONE,
            callees: 0,
            role: Role::Missing,
            facts: Fact::Alive as u16,
        }
    }

    pub(super) fn take(&mut self, arrival: &Arrival) {
        self.parent_span_id = arrival.parent_span_id.map_or(NO_SPAN, |id| id.0);
        self.duration_ns = arrival.duration_ns;
        self.end_unix_ns = arrival.end_unix_ns;
        self.instance = arrival.instance;
        self.peer = arrival.peer;
        self.role = match (arrival.role, arrival.parent_span_id) {
            (Role::Receipt, None) => Role::Poll,
            (role, _) => role,
        };
        self.set(Fact::ParentIsRemote, arrival.parent_is_remote == Some(true));
        self.set(Fact::ParentIsLocal, arrival.parent_is_remote == Some(false));
        self.set(Fact::MayShareId, arrival.may_share_id);
        if let Some(run) = arrival.run.filter(|_| arrival.role.is_call()) {
            self.set(Fact::HasRun, true);
            self.ancestor[..4].copy_from_slice(&run.to_le_bytes());
        }
    }

    /// The run of a call's row.
    pub(super) fn run(&self) -> Option<u32> {
        let [run @ .., _, _, _, _] = self.ancestor;
        let run = if self.is(Fact::Known) {
            self.next_waiter
        } else {
            u32::from_le_bytes(run)
        };
        self.is(Fact::HasRun).then_some(run)
    }

    /// Makes room for the ancestor of a call that is known now, and hangs on nothing any more.
    pub(super) fn keep_run(&mut self) {
        if let Some(run) = self.run() {
            self.next_waiter = run;
        }
    }

    pub(super) fn ancestor(&self) -> Option<SpanId> {
        SpanId::from_bytes(&self.ancestor)
    }

    pub(super) fn is_of_instance(&self, other: &Self) -> bool {
        self.instance != NONE && self.instance == other.instance
    }

    /// Whether both instances are known and differ.
    pub(super) fn is_of_another_instance(&self, other: &Self) -> bool {
        self.instance != NONE && other.instance != NONE && self.instance != other.instance
    }

    /// Whether it is known to be an invocation.
    pub(super) fn is_known_invocation(&self) -> bool {
        self.is(Fact::Known) && self.ancestor == self.span_id && !self.role.is_call()
    }

    /// Whether it is an invocation whatever stands above: a remote parent is a caller.
    pub(super) fn is_invocation_by_itself(&self) -> bool {
        (self.role.is_callee() || self.role == Role::Internal) && self.is(Fact::ParentIsRemote)
    }

    /// Whether it is an invocation because of this arrived parent: one that calls or is of another instance, to a CONSUMER that
    /// handles any but the receipt of the same message, and to inner work one that is known to be of another instance.
    pub(super) fn is_invocation_below(&self, parent: &Self) -> bool {
        match self.role {
            _ if parent.role == Role::Missing => false,
            Role::Server => parent.role.is_call() || !parent.is_of_instance(self),
            Role::Receipt => parent.role == Role::Producer || !parent.is_of_instance(self),
            Role::Consumer => parent.role != Role::Receipt || !self.is_within(parent),
            // One that was given up as inner work has no row.
            Role::Internal => {
                !self.is(Fact::ParentIsLocal)
                    && !self.is(Fact::Settled)
                    && parent.is_of_another_instance(self)
            }
            _ => false,
        }
    }

    /// Whether an arrived parent makes a mere poll of this receipt.
    pub(super) fn is_poll_below(&self, parent: &Self) -> bool {
        self.role == Role::Receipt
            && parent.role != Role::Missing
            && !self.is(Fact::ParentIsRemote)
            && !self.is_invocation_below(parent)
    }

    /// Whether it is the request or message that the span above has seen already, told by a second instrumentation.
    pub(super) fn is_seen_by(&self, parent: &Self) -> bool {
        if self.is(Fact::ParentIsRemote) {
            return false;
        }
        match self.role {
            Role::Server => parent.is(Fact::WithinServer) && parent.is_of_instance(self),
            Role::Consumer => parent.role == Role::Receipt && self.is_within(parent),
            _ => false,
        }
    }

    /// Whether it begins before the parent ends, by the clock of the instance that made both.
    fn is_within(&self, parent: &Self) -> bool {
        let start = self.end_unix_ns.wrapping_sub(self.duration_ns as u64);
        parent.is_of_instance(self) && start < parent.end_unix_ns
    }
}
