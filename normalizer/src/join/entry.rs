//! [`Entry`]: the facts about a span that the join keeps, and the rules that decide from a span and its parent what the span is.

use aggregate::ids::{InstanceId, NameId, RunId};
use cctf_proto::cctf::SpanId;
use serde::{Deserialize, Serialize};

use super::ids::{EntryId, RowSlot};
use super::outcome::{Arrival, Role};

/// Stands for a missing span id.
pub(super) const NO_SPAN: [u8; 8] = [0; 8];

/// A span in the table.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Entry {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub parent_span_id: [u8; 8],
    /// The span itself if it is an invocation, or else its nearest ancestor that is one. Set once known.
    pub ancestor: [u8; 8],
    /// Journal time at which the entry is examined next.
    pub deadline: u64,
    /// Time until which the entry is needed: the latest end of the windows of its span and of the known waiters.
    pub needed_until: u64,
    pub duration_ns: i64,
    pub end_unix_ns: u64,
    pub instance: Option<InstanceId>,
    pub callee_instance: Option<InstanceId>,
    pub peer: Option<NameId>,
    pub row: RowSlot,
    /// The entry that this one waits on. The next two fields link the list of all entries that wait on that same entry.
    pub waits_on: Option<EntryId>,
    next_waiter_or_run: u32,
    /// The previous entry in that list. Once this entry no longer waits: the parent with which it was resolved.
    pub previous_waiter_or_parent: Option<EntryId>,
    pub first_waiter: Option<EntryId>,
    /// The next entry of the same trace and span id (a CLIENT and a SERVER that share one, as in Zipkin).
    pub next_same_id: Option<EntryId>,
    pub callees: u8,
    pub role: Role,
    facts: u16,
}

const _: () = assert!(size_of::<Entry>() == 112, "JoinTable's documentation states it");

/// A bit in the facts of an entry. One byte for each fact would make every entry eight bytes longer.
#[derive(Clone, Copy)]
#[repr(u16)]
pub(super) enum Fact {
    /// `ancestor` is known.
    Known = 1,
    /// The span is a SERVER invocation, or its path to a SERVER span of the same instance has no call. The join needs this to
    /// recognise second instrumentations.
    WithinServer = 1 << 1,
    /// The telemetry says that the parent is in another process.
    ParentIsRemote = 1 << 2,
    Alive = 1 << 3,
    /// The telemetry says that the parent is in the same process.
    ParentIsLocal = 1 << 4,
    /// The span may share its id with a span of another process.
    MayShareId = 1 << 5,
    /// The span waits on the best parent that has arrived, but a better one may still arrive within the window.
    Tentative = 1 << 6,
    /// The path to the root is complete: it ends at a root, or where a cycle was cut. So the span is on no cycle.
    Rooted = 1 << 7,
    /// The outcome has been reported.
    Resolved = 1 << 8,
    /// The row waits in a second window, because an ancestor is still undecided.
    SecondWindow = 1 << 9,
    /// The span is a call whose run is known. The run is stored in `ancestor` until the call itself is known, and then in
    /// `next_waiter_or_run`.
    HasRun = 1 << 10,
    /// The entry stays for a second window, because a cycle that contains it may still be closed.
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
            instance: None,
            callee_instance: None,
            peer: None,
            row: RowSlot::EMPTY,
            waits_on: None,
            next_waiter_or_run: 0,
            previous_waiter_or_parent: None,
            first_waiter: None,
            next_same_id: None,
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
            self.ancestor[..4].copy_from_slice(&(run.index() as u32).to_le_bytes());
        }
    }

    /// The next entry that waits on the same parent.
    #[inline]
    pub(super) fn next_waiter(&self) -> Option<EntryId> {
        EntryId::from_raw(self.next_waiter_or_run)
    }

    #[inline]
    pub(super) fn set_next_waiter(&mut self, waiter: Option<EntryId>) {
        self.next_waiter_or_run = waiter.map_or(0, EntryId::raw);
    }

    /// Records that the entry waits on nothing.
    pub(super) fn clear_waiting(&mut self) {
        (self.waits_on, self.previous_waiter_or_parent) = (None, None);
        self.set_next_waiter(None);
    }

    /// The run of a call's row.
    pub(super) fn run(&self) -> Option<RunId> {
        let [run @ .., _, _, _, _] = self.ancestor;
        let run = if self.is(Fact::Known) {
            self.next_waiter_or_run
        } else {
            u32::from_le_bytes(run)
        };
        self.is(Fact::HasRun).then(|| RunId::new(run as usize))
    }

    /// Moves the run of a call that has become known. From then on, `ancestor` contains the ancestor. The field of the waiters'
    /// list is free, because a known call waits on nothing.
    pub(super) fn keep_run(&mut self) {
        if let Some(run) = self.run() {
            self.next_waiter_or_run = run.index() as u32;
        }
    }

    /// Whether the end of the window decides nothing: no row waits for it, and the span neither waits nor is waited on.
    #[inline]
    pub(super) fn is_done(&self) -> bool {
        self.row.is_empty()
            && self.waits_on.is_none()
            && self.first_waiter.is_none()
            && !self.is(Fact::Tentative)
    }

    pub(super) fn ancestor(&self) -> Option<SpanId> {
        SpanId::from_bytes(&self.ancestor)
    }

    pub(super) fn is_of_instance(&self, other: &Self) -> bool {
        self.instance.is_some() && self.instance == other.instance
    }

    /// Whether both instances are known and differ.
    pub(super) fn is_of_another_instance(&self, other: &Self) -> bool {
        self.instance.is_some() && other.instance.is_some() && self.instance != other.instance
    }

    /// Whether the span is certainly an invocation.
    pub(super) fn is_known_invocation(&self) -> bool {
        self.is(Fact::Known) && self.ancestor == self.span_id && !self.role.is_call()
    }

    /// Whether the span is an invocation whatever its parent is. This is so if its parent is remote, because the parent is then
    /// its caller.
    pub(super) fn is_invocation_by_itself(&self) -> bool {
        (self.role.is_callee() || self.role == Role::Internal) && self.is(Fact::ParentIsRemote)
    }

    /// Whether this parent, which has arrived, makes the span an invocation.
    ///
    /// - A SERVER span or a receipt: if the parent is a call, or a span of another instance.
    /// - A CONSUMER span that handles a message: unless the parent is the receipt of the same message.
    /// - An INTERNAL span: if the parent is known to be of another instance.
    pub(super) fn is_invocation_below(&self, parent: &Self) -> bool {
        match self.role {
            _ if parent.role == Role::Missing => false,
            Role::Server => parent.role.is_call() || !parent.is_of_instance(self),
            Role::Receipt => parent.role == Role::Producer || !parent.is_of_instance(self),
            Role::Consumer => parent.role != Role::Receipt || !self.is_within(parent),
            // A span that was resolved as inner work has no row.
            Role::Internal => {
                !self.is(Fact::ParentIsLocal)
                    && !self.is(Fact::Resolved)
                    && parent.is_of_another_instance(self)
            }
            _ => false,
        }
    }

    /// Whether this parent, which has arrived, shows that the receipt is only a poll.
    pub(super) fn is_poll_below(&self, parent: &Self) -> bool {
        self.role == Role::Receipt
            && parent.role != Role::Missing
            && !self.is(Fact::ParentIsRemote)
            && !self.is_invocation_below(parent)
    }

    /// Whether the span is a second instrumentation: it reports a request or message that the parent has already reported.
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

    /// Whether the span begins before its parent ends. Both come from one instance, so their timestamps are from one clock.
    fn is_within(&self, parent: &Self) -> bool {
        let start = self.end_unix_ns.wrapping_sub(self.duration_ns as u64);
        parent.is_of_instance(self) && start < parent.end_unix_ns
    }
}
