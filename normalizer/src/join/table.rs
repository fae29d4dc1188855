//! [`JoinTable`]: the spans of the last join window, each hanging on its parent until that is settled.

mod limits;
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
    settled: Vec<Settled>,
    departed: Vec<Departed>,
    window_nanos: u64,
    entries_max: usize,
}

impl JoinTable {
    /// An empty table that keeps a span for `window_nanos`, and at most `entries_max` of them.
    pub fn new(window_nanos: u64, entries_max: usize) -> Self {
        Self {
            entries: Entries::default(),
            deadlines: VecDeque::new(),
            to_tell: Vec::new(),
            settled: Vec::new(),
            departed: Vec::new(),
            window_nanos,
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

    /// Lets go of all spans whose window has passed, and of the oldest where there are too many: their held rows are
    /// settled as orphans.
    pub fn expire(&mut self, now: u64) {
        while let Some(&(deadline, entry)) = self.deadlines.front() {
            let current = self.entries.get(entry);
            let is_current = current.is(Fact::Alive) && current.deadline == deadline;
            let is_crowded = self.len() > self.entries_max;
            if is_current && deadline > now && !is_crowded {
                break;
            }
            self.deadlines.pop_front();
            self.entries.prefetch_expiring(&self.deadlines);
            if is_current {
                self.settle_as_orphan(entry);
                let needed_until = self.entries.needed_until(entry);
                if is_crowded || needed_until < deadline || self.entries.get(entry).first_waiter == NONE {
                    self.remove(entry);
                } else {
                    // What came later and hangs on it has its own window, in which the parent may still come.
                    self.entries.get_mut(entry).needed_until = needed_until;
                    self.set_deadline(entry, now);
                }
            }
        }
    }

    fn set_deadline(&mut self, entry: u32, now: u64) -> u64 {
        let deadline = now.saturating_add(self.window_nanos);
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
                let entry = self.entries.add(span, first);
                if let Some(twin) = first {
                    self.meet_twin(entry, twin);
                }
                entry
            }
        };
        let deadline = self.set_deadline(entry, now);
        self.entries.get_mut(entry).needed_until = deadline;
        self.judge_waiters(entry);
        entry
    }

    /// Two spans share an id (Zipkin gives a call and its answer the same): they know each other, and what hung on the
    /// first and belongs to the second moves over.
    fn meet_twin(&mut self, entry: u32, twin: u32) {
        let (span, other) = (*self.entries.get(entry), *self.entries.get(twin));
        if span.role.is_callee() && other.role.is_call() {
            self.note_callee(twin, span.instance);
        } else if other.role.is_callee() && span.role.is_call() {
            self.note_callee(entry, other.instance);
        }
        let mut waiter = other.first_waiter;
        while waiter != NONE {
            let waiting = *self.entries.get(waiter);
            if fits(&waiting, &span) && !fits(&waiting, &other) {
                self.entries.stop_waiting(waiter);
                self.entries.wait_on(waiter, entry);
            }
            waiter = waiting.next_waiter;
        }
    }

    fn note_callee(&mut self, call: u32, instance: u32) {
        let call = self.entries.get_mut(call);
        call.callees = call.callees.saturating_add(1);
        if call.callee_instance == NONE {
            call.callee_instance = instance;
        }
    }

    /// A parent that arrives after its children may decide what they are before it is known itself.
    fn judge_waiters(&mut self, entry: u32) {
        let parent = *self.entries.get(entry);
        let mut waiter = parent.first_waiter;
        while waiter != NONE {
            let waiting = *self.entries.get(waiter);
            self.judge_receipt(waiter, entry);
            if !waiting.is(Fact::Known) && waiting.is_invocation_below(&parent) {
                self.know_as_invocation(waiter);
            }
            waiter = waiting.next_waiter;
        }
        self.tell_waiters();
    }

    fn know(&mut self, entry: u32, ancestor: [u8; 8], within_server: bool) {
        let span = self.entries.get_mut(entry);
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
        let parent = self.parent_of(entry, now);
        if parent == entry {
            // A span that names itself as its parent waits in vain, as one whose parent never comes.
            return None;
        }
        if span.role == Role::Receipt {
            span.role = self.judge_receipt(entry, parent);
        } else if span.role.is_callee() {
            self.note_callee(parent, span.instance);
        }
        let parent_span = *self.entries.get(parent);
        if parent_span.is(Fact::Known) {
            return Some(self.settle_below(entry, &parent_span));
        }
        self.entries.wait_on(entry, parent);
        if span.is_invocation_by_itself() || span.is_invocation_below(&parent_span) {
            self.know_as_invocation(entry);
        }
        // A poll has no row to wait for.
        (span.role == Role::Poll).then_some(Outcome::Nothing)
    }

    fn parent_of(&mut self, entry: u32, now: u64) -> u32 {
        let span = *self.entries.get(entry);
        let found = self.entries.find(&span.trace_id, &span.parent_span_id);
        let Some(first) = found else {
            let missing = Entry::missing(span.trace_id, span.parent_span_id);
            let missing = self.entries.add(missing, None);
            self.set_deadline(missing, now);
            return missing;
        };
        let is_parent = |at: u32, other: &Entry| at != entry && fits(&span, other);
        self.entries.among(found, is_parent).unwrap_or(first)
    }

    fn settle_root(&mut self, entry: u32) -> Outcome {
        match self.entries.get(entry).role {
            Role::Server | Role::Consumer | Role::Internal => {
                self.know_as_invocation(entry);
                Outcome::Invocation {
                    parent: None,
                    caller: self.caller_of(entry),
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

    /// Settles a span whose parent is known.
    fn settle_below(&mut self, entry: u32, parent: &Entry) -> Outcome {
        let span = *self.entries.get(entry);
        let is_invocation = match span.role {
            Role::Server | Role::Consumer => span.is(Fact::Known) || !span.is_seen_by(parent),
            Role::Receipt => true,
            _ => false,
        };
        if !span.is(Fact::Known) && is_invocation {
            self.know_as_invocation(entry);
        } else if !span.is(Fact::Known) {
            let within_server =
                !span.role.is_call() && parent.is(Fact::WithinServer) && parent.is_of_instance(&span);
            self.know(entry, parent.ancestor, within_server);
        }
        if is_invocation {
            // In a cycle the walk comes back to the span itself: nobody caused it.
            let is_cycle = parent.ancestor == span.span_id;
            Outcome::Invocation {
                parent: parent.ancestor().filter(|_| !is_cycle),
                caller: self.caller_of(entry),
                orphan: is_cycle,
            }
        } else if span.role.is_call() {
            self.call(entry, parent.ancestor(), false)
        } else {
            Outcome::Nothing
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
    fn caller_of(&self, entry: u32) -> Option<Caller> {
        let span = self.entries.get(entry);
        if !span.role.is_callee() {
            return None;
        }
        let is_call = |_: u32, other: &Entry| other.role.is_call();
        let is_twin =
            |_: u32, other: &Entry| other.role.is_call() && other.parent_span_id == span.parent_span_id;
        let above = self.entries.find(&span.trace_id, &span.parent_span_id);
        let at = self.entries.among(above, is_call).or_else(|| {
            let same_id = self.entries.find(&span.trace_id, &span.span_id);
            self.entries.among(same_id, is_twin)
        })?;
        let call = self.entries.get(at);
        Some(Caller {
            span_id: SpanId(call.span_id),
            instance: call.instance,
            duration_nanos: call.duration_nanos,
            end_unix_nano: call.end_unix_nano,
            callees: call.callees,
        })
    }

    /// Settles all that hang on entries which became known, and what hangs on these in turn.
    fn tell_waiters(&mut self) {
        while let Some(parent) = self.to_tell.pop() {
            let known = *self.entries.get(parent);
            loop {
                let child = self.entries.get(parent).first_waiter;
                if child == NONE {
                    break;
                }
                self.entries.stop_waiting(child);
                let outcome = self.settle_below(child, &known);
                self.report(child, outcome);
            }
        }
    }

    fn report(&mut self, entry: u32, outcome: Outcome) {
        let row = std::mem::replace(&mut self.entries.get_mut(entry).row, NONE);
        if row != NONE {
            self.settled.push(Settled { row, outcome });
        }
    }

    /// Settles a row that still waits when its window has passed.
    fn settle_as_orphan(&mut self, entry: u32) {
        let span = *self.entries.get(entry);
        if span.row == NONE {
            return;
        }
        let outcome = if span.role.is_call() {
            self.call(entry, None, true)
        } else {
            Outcome::Invocation {
                parent: None,
                caller: self.caller_of(entry),
                orphan: true,
            }
        };
        self.report(entry, outcome);
        if !span.is(Fact::Known) && span.role.is_callee() {
            self.know_as_invocation(entry);
            self.tell_waiters();
        }
    }

    fn remove(&mut self, entry: u32) {
        loop {
            let waiter = self.entries.get(entry).first_waiter;
            if waiter == NONE {
                break;
            }
            self.entries.stop_waiting(waiter);
        }
        self.entries.stop_waiting(entry);
        let span = *self.entries.get(entry);
        if span.role.is_call() {
            self.departed.push(Departed {
                instance: span.instance,
                callee: (span.callee_instance != NONE).then_some(span.callee_instance),
                peer: span.peer,
                is_message: span.role == Role::Producer,
                trace_id: span.trace_id,
            });
        }
        self.entries.remove(entry);
    }
}

/// Whether `parent` is the one of several spans with its id that `span` names: a callee hangs on the call, and inner work
/// on its own process.
fn fits(span: &Entry, parent: &Entry) -> bool {
    if span.role.is_callee() {
        parent.role.is_call()
    } else {
        parent.is_of_instance(span)
    }
}
