//! [`JoinTable`]: the spans of the last join window, each hanging on its parent until that is settled.

mod cycles;
mod deadlines;
mod limits;
mod parents;
mod receipts;

use std::collections::VecDeque;

use cctf_proto::cctf::SpanId;
use serde::{Deserialize, Serialize};

use super::entries::Entries;
use super::entry::{Arrival, Caller, Departed, Entry, Fact, NO_SPAN, NONE, Outcome, Role, Settled};

/// The spans of the last join window.
///
/// An entry takes 112 bytes, its place in the index 13 to 26 and in the queue of deadlines 16: about 145 bytes a span.
#[derive(Debug, Serialize, Deserialize)]
pub struct JoinTable {
    entries: Entries,
    /// Deadline and entry, oldest first. One whose deadline is not the entry's any more is passed over.
    deadlines: VecDeque<(u64, u32)>,
    /// Entries that became known and whose waiters are to be told.
    to_tell: Vec<u32>,
    /// Room for the spans of a cycle that is looked at.
    #[serde(skip)]
    members: Vec<u32>,
    /// Rows that wait in a second window.
    extended: usize,
    /// Until when some span may not know its parent although one has arrived.
    tentative_until: u64,
    settled: Vec<Settled>,
    departed: Vec<Departed>,
    window_ns: u64,
    entries_max: usize,
}

impl JoinTable {
    /// An empty table that keeps a span for `window_ns`, and at most `entries_max` of them.
    pub fn new(window_ns: u64, entries_max: usize) -> Self {
        Self {
            entries: Entries::default(),
            deadlines: VecDeque::new(),
            to_tell: Vec::new(),
            members: Vec::new(),
            extended: 0,
            tentative_until: 0,
            settled: Vec::new(),
            departed: Vec::new(),
            window_ns,
            entries_max,
        }
    }

    /// Spans in the table, missing parents included.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks for what [`Self::insert`] of this span will read.
    #[inline]
    pub fn prefetch(&self, trace_id: &[u8; 16], span_id: &[u8; 8]) {
        self.entries.prefetch(trace_id, span_id);
    }

    /// Takes a span. `Ok` is what it turned out to be; `Err` is the entry to hold its row under with [`Self::hold`].
    /// Rows that it settled meanwhile wait in [`Self::take_settled`].
    pub fn insert(&mut self, arrival: &Arrival, now: u64) -> Result<Outcome, u32> {
        let entry = self.place(arrival, now);
        let outcome = self.attach(entry, now);
        if outcome.is_some() {
            self.entries.get_mut(entry).set(Fact::Settled, true);
        }
        self.tell_waiters();
        outcome.ok_or(entry)
    }

    /// Says which row to settle when the entry's outcome is known.
    pub fn hold(&mut self, entry: u32, row: u32) {
        self.entries.get_mut(entry).row = row;
    }

    /// Rows whose outcome has become known.
    pub fn take_settled(&mut self) -> Option<Settled> {
        self.settled.pop()
    }

    /// Calls that have left the table.
    pub fn take_departed(&mut self) -> Option<Departed> {
        self.departed.pop()
    }

    fn set_deadline(&mut self, entry: u32, now: u64) -> u64 {
        let deadline = now.saturating_add(self.window_ns);
        self.entries.get_mut(entry).deadline = deadline;
        self.deadlines.push_back((deadline, entry));
        deadline
    }

    /// Gives the span its entry: the one that a child had made for it, or a new one.
    fn place(&mut self, arrival: &Arrival, now: u64) -> u32 {
        let first = self.entries.find(&arrival.trace_id, &arrival.span_id);
        let awaited = self.entries.among(first, |_, other| other.role == Role::Missing);
        let entry = match awaited {
            Some(entry) => {
                self.entries.get_mut(entry).take(arrival);
                entry
            }
            None => {
                let mut span = Entry::missing(arrival.trace_id, arrival.span_id);
                span.take(arrival);
                self.entries.add(span, first)
            }
        };
        let deadline = self.set_deadline(entry, now);
        self.entries.get_mut(entry).needed_until = deadline;
        match first.filter(|_| awaited.is_none()) {
            Some(twin) => self.meet_twins(entry, twin),
            None => self.judge_waiters(entry),
        }
        entry
    }

    fn know(&mut self, entry: u32, ancestor: [u8; 8], within_server: bool) {
        let span = self.entries.get_mut(entry);
        span.keep_run();
        span.set(Fact::Known, true);
        span.ancestor = ancestor;
        span.set(Fact::WithinServer, within_server);
        self.to_tell.push(entry);
    }

    fn know_as_invocation(&mut self, entry: u32) {
        let span = self.entries.get(entry);
        self.know(entry, span.span_id, span.role == Role::Server);
    }

    /// Finds the parent and settles the span, or hangs it on the parent.
    fn attach(&mut self, entry: u32, now: u64) -> Option<Outcome> {
        let mut span = *self.entries.get(entry);
        if span.parent_span_id == NO_SPAN {
            return Some(self.settle_root(entry));
        }
        let (parent, is_final) = self.parent_of(entry, now);
        if parent == entry {
            // A span that names itself as its parent waits in vain, as one whose parent never comes.
            if span.is_invocation_by_itself() {
                self.know_as_invocation(entry);
            }
            return None;
        }
        if is_final && span.role == Role::Receipt {
            span.role = self.judge_receipt(entry, parent);
        }
        let parent_span = *self.entries.get(parent);
        let is_missing = parent_span.role == Role::Missing;
        let is_noted = !span.is(Fact::MayShareId) || is_final && !is_missing;
        if matches!(span.role, Role::Server | Role::Consumer) && is_noted {
            self.note_callee(parent, span.instance);
        }
        if !is_final && !is_missing {
            self.set_tentative(entry);
        } else if !is_missing && self.entries.get(entry).first_waiter != NONE && self.is_cut(entry, parent) {
            return Some(self.outcome_of_cut(entry, parent));
        }
        if self.entries.get(parent).is(Fact::Known)
            && let Some(outcome) = self.settle_below(entry, parent)
        {
            return Some(outcome);
        }
        self.entries.wait_on(entry, parent);
        let is_judged = is_final && span.is_invocation_below(&parent_span);
        if !self.entries.get(entry).is(Fact::Known) && (span.is_invocation_by_itself() || is_judged) {
            self.know_as_invocation(entry);
        }
        // A poll has no row to wait for.
        (span.role == Role::Poll).then_some(Outcome::Nothing)
    }

    /// The parent, an entry for it if it has not arrived, and whether no better one can come.
    fn parent_of(&mut self, entry: u32, now: u64) -> (u32, bool) {
        let (best, is_final) = self.choose(entry);
        if best != NONE {
            return (best, is_final);
        }
        let span = *self.entries.get(entry);
        if let Some(first) = self.entries.find(&span.trace_id, &span.parent_span_id) {
            return (first, true);
        }
        let missing = Entry::missing(span.trace_id, span.parent_span_id);
        let missing = self.entries.add(missing, None);
        self.set_deadline(missing, now);
        (missing, true)
    }

    fn settle_root(&mut self, entry: u32) -> Outcome {
        self.entries.get_mut(entry).set(Fact::Rooted, true);
        match self.entries.get(entry).role {
            Role::Server | Role::Consumer | Role::Internal => {
                self.know_as_invocation(entry);
                Outcome::Invocation {
                    parent: None,
                    caller: self.caller_of(entry, NONE),
                    orphan: false,
                }
            }
            Role::Client | Role::Producer => {
                self.know(entry, NO_SPAN, false);
                self.call(entry, None, false)
            }
            Role::Poll | Role::Receipt | Role::Missing => {
                self.know(entry, NO_SPAN, false);
                Outcome::Nothing
            }
        }
    }

    /// Settles a span whose parent is known, unless it has to wait all the same.
    fn settle_below(&mut self, entry: u32, parent: u32) -> Option<Outcome> {
        let (span, parent_span) = (*self.entries.get(entry), *self.entries.get(parent));
        if span.is(Fact::Tentative) {
            return None;
        }
        let is_invocation = match span.role {
            Role::Server | Role::Consumer => span.is(Fact::Known) || !span.is_seen_by(&parent_span),
            Role::Receipt => true,
            Role::Internal => {
                span.is_known_invocation()
                    || span.is_invocation_by_itself()
                    || span.is_invocation_below(&parent_span)
            }
            _ => false,
        };
        if !is_invocation {
            let within_server = !span.role.is_call()
                && parent_span.is(Fact::WithinServer)
                && parent_span.is_of_instance(&span);
            self.entries
                .get_mut(entry)
                .set(Fact::Rooted, parent_span.is(Fact::Rooted));
            self.know(entry, parent_span.ancestor, within_server);
            return Some(if span.role.is_call() {
                self.call(entry, parent_span.ancestor(), false)
            } else {
                Outcome::Nothing
            });
        }
        if !span.is(Fact::Known) {
            self.know_as_invocation(entry);
        }
        let may_wait = !parent_span.is(Fact::Rooted) && self.may_be_cut(&span, &parent_span);
        (!may_wait).then(|| self.invocation_below(entry, parent))
    }

    /// What an invocation is below a parent that is known.
    fn invocation_below(&mut self, entry: u32, parent: u32) -> Outcome {
        let (span, parent_span) = (*self.entries.get(entry), *self.entries.get(parent));
        // In a cycle the walk comes back to the span itself: nobody caused it.
        let is_cycle = parent_span.ancestor == span.span_id;
        if is_cycle || parent_span.is(Fact::Rooted) {
            self.root(entry);
        }
        Outcome::Invocation {
            parent: parent_span.ancestor().filter(|_| !is_cycle),
            caller: self.caller_of(entry, parent),
            orphan: is_cycle,
        }
    }

    fn call(&self, entry: u32, ancestor: Option<SpanId>, orphan: bool) -> Outcome {
        let callee = self.entries.get(entry).callee_instance;
        Outcome::Call {
            ancestor,
            callee: (callee != NONE).then_some(callee),
            orphan,
        }
    }

    /// The call that reached a span: its parent, or the CLIENT span that shares its id.
    fn caller_of(&self, entry: u32, parent: u32) -> Option<Caller> {
        let span = self.entries.get(entry);
        if !span.role.is_callee() {
            return None;
        }
        let is_call = parent != NONE && self.entries.get(parent).role.is_call();
        let at = if is_call {
            Some(parent)
        } else {
            self.twin_of(entry)
        };
        let call = self.entries.get(at?);
        Some(Caller {
            span_id: SpanId(call.span_id),
            instance: call.instance,
            duration_ns: call.duration_ns,
            end_unix_ns: call.end_unix_ns,
            callees: call.callees,
        })
    }

    /// Settles all that hang on entries which became known, and what hangs on these in turn.
    fn tell_waiters(&mut self) {
        while let Some(parent) = self.to_tell.pop() {
            let mut child = self.entries.take_waiters(parent);
            while child != NONE {
                let next = self.entries.free_waiter(child);
                self.settle_or_hang(child, parent);
                child = next;
            }
        }
    }

    /// Settles a span whose parent is known, or hangs it on that until it may be settled.
    fn settle_or_hang(&mut self, entry: u32, parent: u32) {
        match self.settle_below(entry, parent) {
            Some(outcome) => self.report(entry, outcome),
            None => self.entries.wait_on(entry, parent),
        }
    }

    fn report(&mut self, entry: u32, outcome: Outcome) {
        let of = self.entries.get_mut(entry);
        let row = std::mem::replace(&mut of.row, NONE);
        of.set(Fact::Settled, true);
        if of.is(Fact::SecondWindow) {
            of.set(Fact::SecondWindow, false);
            self.extended -= 1;
        }
        if row != NONE {
            self.settled.push(Settled { row, outcome });
        }
    }

    fn remove(&mut self, entry: u32) {
        loop {
            let waiter = self.entries.get(entry).first_waiter;
            if waiter == NONE {
                break;
            }
            self.relink_for_good(waiter);
            let waiting = *self.entries.get(waiter);
            if waiting.waits_on != entry {
                continue;
            }
            self.entries.stop_waiting(waiter);
            // It waited for no more than a cycle to close.
            if self.entries.get(entry).is(Fact::Known) && waiting.is_known_invocation() {
                let outcome = self.invocation_below(waiter, entry);
                self.report(waiter, outcome);
            }
        }
        self.tell_waiters();
        self.entries.stop_waiting(entry);
        let span = *self.entries.get(entry);
        if span.role.is_call() {
            self.departed.push(Departed {
                instance: span.instance,
                callee: (span.callee_instance != NONE).then_some(span.callee_instance),
                peer: span.peer,
                is_message: span.role == Role::Producer,
                trace_id: span.trace_id,
                run: span.run(),
            });
        }
        self.entries.remove(entry);
    }
}
