//! [`JoinTable`]: the spans of the last join window. Each span waits on its parent until the span's outcome is decided.
//!
//! A span is *known* (`Fact::Known`) when its nearest invocation at or above it is found. It is *resolved* (`Fact::Resolved`) when
//! its outcome is decided. An invocation is its own nearest invocation. So it can be known while it still waits for its parent.

mod cycles;
mod deadlines;
mod limits;
mod parents;
mod receipts;

use std::collections::VecDeque;

use cctf_proto::cctf::SpanId;
use serde::{Deserialize, Serialize};

use super::entries::Entries;
use super::entry::{Entry, Fact, NO_SPAN};
use super::ids::{EntryId, RowRef, RowSlot};
use super::outcome::{Arrival, Caller, Evicted, Joined, Outcome, Resolved, Role};

/// The spans of the last join window.
///
/// A span takes about 145 bytes: its entry 112, its place in the index 13 to 26, and its place in the queue of deadlines 16.
#[derive(Debug, Serialize, Deserialize)]
pub struct JoinTable {
    entries: Entries,
    /// Deadline and entry, oldest first. A pair is skipped if the entry's deadline has changed since.
    deadlines: VecDeque<(u64, EntryId)>,
    /// Newly known entries. The spans that wait on them have not been notified yet.
    to_notify: Vec<EntryId>,
    /// Scratch space for the spans of a possible cycle.
    #[serde(skip)]
    members: Vec<EntryId>,
    /// Number of rows in a second window: they wait for a span above that has arrived but is itself undecided.
    extended: usize,
    /// Latest end of the windows of all tentative spans. A tentative span waits on the best parent that has arrived. If several
    /// spans share the parent's id, a better one may still arrive ([`parents`]).
    tentative_until: u64,
    /// Results that the pipeline takes. This list and `evicted` are empty between two records, so no checkpoint contains them.
    #[serde(skip)]
    resolved: Vec<Resolved>,
    #[serde(skip)]
    evicted: Vec<Evicted>,
    window_ns: u64,
    entries_max: usize,
}

impl JoinTable {
    /// An empty table. It keeps each span for `window_ns`, and at most `entries_max` spans.
    pub fn new(window_ns: u64, entries_max: usize) -> Self {
        Self {
            entries: Entries::default(),
            deadlines: VecDeque::new(),
            to_notify: Vec::new(),
            members: Vec::new(),
            extended: 0,
            tentative_until: 0,
            resolved: Vec::new(),
            evicted: Vec::new(),
            window_ns,
            entries_max,
        }
    }

    /// Number of spans, including parents that have not arrived.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Prefetches the memory that [`Self::insert`] of this span will read.
    #[inline]
    pub fn prefetch(&self, trace_id: &[u8; 16], span_id: &[u8; 8]) {
        self.entries.prefetch(trace_id, span_id);
    }

    /// Adds a span. Returns its outcome if it is decided at once. Otherwise, returns the span's entry, and the pipeline must
    /// register the span's row there with [`Self::hold`]. The new span may resolve rows that waited for it, which
    /// [`Self::take_resolved`] returns.
    pub fn insert(&mut self, arrival: &Arrival, now: u64) -> Joined {
        let entry = self.place(arrival, now);
        let outcome = self.attach(entry, now);
        if outcome.is_some() {
            self.entries.get_mut(entry).set(Fact::Resolved, true);
        }
        self.notify_waiters();
        outcome.map_or(Joined::Waits(entry), Joined::Resolved)
    }

    /// Registers the row that waits for the entry's outcome.
    pub fn hold(&mut self, entry: EntryId, row: RowRef) {
        self.entries.get_mut(entry).row = RowSlot::new(row);
    }

    /// Removes and returns a row whose outcome has been decided.
    pub fn take_resolved(&mut self) -> Option<Resolved> {
        self.resolved.pop()
    }

    /// Removes and returns a call that has left the table, usually at its deadline. (Not the glossary's eviction.)
    pub fn take_evicted(&mut self) -> Option<Evicted> {
        self.evicted.pop()
    }

    /// The entry for a span: a new one, or the placeholder that was added when a child named the span.
    fn place(&mut self, arrival: &Arrival, now: u64) -> EntryId {
        let (trace_id, span_id) = (&arrival.trace_id, &arrival.span_id);
        let hash = self.entries.hash(trace_id, span_id);
        let first = self.entries.find_by(hash, trace_id, span_id);
        let awaited = self.entries.among(first, |_, other| other.role == Role::Missing);
        let entry = match awaited {
            Some(entry) => {
                self.entries.get_mut(entry).take(arrival);
                entry
            }
            None => {
                let mut span = Entry::missing(arrival.trace_id, arrival.span_id);
                span.take(arrival);
                self.entries.add(span, hash, first)
            }
        };
        self.set_deadline_on_arrival(entry, awaited.is_some(), now);
        match first.filter(|_| awaited.is_none()) {
            Some(twin) => self.meet_twins(entry, twin),
            None => self.judge_waiters(entry),
        }
        entry
    }

    /// Records the nearest invocation of a span, which may be the span itself. The span then counts as known.
    fn know(&mut self, entry: EntryId, ancestor: [u8; 8], within_server: bool) {
        let span = self.entries.get_mut(entry);
        span.keep_run();
        span.set(Fact::Known, true);
        span.ancestor = ancestor;
        span.set(Fact::WithinServer, within_server);
        self.to_notify.push(entry);
    }

    fn know_as_invocation(&mut self, entry: EntryId) {
        let span = self.entries.get(entry);
        self.know(entry, span.span_id, span.role == Role::Server);
    }

    /// Finds the parent and resolves the span, or lets it wait on the parent.
    fn attach(&mut self, entry: EntryId, now: u64) -> Option<Outcome> {
        let mut span = *self.entries.get(entry);
        if span.parent_span_id == NO_SPAN {
            return Some(self.resolve_root(entry));
        }
        let (parent, is_final) = self.parent_of(entry, now);
        if parent == entry {
            // A span that names itself as its parent is treated like a span whose parent never arrives.
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
        } else if !is_missing && self.entries.get(entry).first_waiter.is_some() && self.is_cut(entry, parent)
        {
            return Some(self.outcome_of_cut(entry, parent));
        }
        if self.entries.get(parent).is(Fact::Known)
            && let Some(outcome) = self.resolve_below(entry, parent)
        {
            return Some(outcome);
        }
        self.entries.wait_on(entry, parent);
        let is_judged = is_final && span.is_invocation_below(&parent_span);
        if !self.entries.get(entry).is(Fact::Known) && (span.is_invocation_by_itself() || is_judged) {
            self.know_as_invocation(entry);
        }
        // A poll has no row that would have to wait.
        (span.role == Role::Poll).then_some(Outcome::Nothing)
    }

    /// Returns the parent's entry, and whether it is final: no better parent can arrive. Adds a placeholder for a missing parent.
    fn parent_of(&mut self, entry: EntryId, now: u64) -> (EntryId, bool) {
        if let Some(twin) = self.entries.twin_call(entry) {
            return (twin, true);
        }
        let span = self.entries.get(entry);
        let (trace_id, parent_span_id) = (span.trace_id, span.parent_span_id);
        let hash = self.entries.hash(&trace_id, &parent_span_id);
        let first = self.entries.find_by(hash, &trace_id, &parent_span_id);
        if let (Some(best), is_final) = self.entries.best_of(entry, first) {
            return (best, is_final);
        }
        if let Some(first) = first {
            return (first, true);
        }
        let missing = Entry::missing(trace_id, parent_span_id);
        let missing = self.entries.add(missing, hash, None);
        self.set_deadline(missing, now);
        (missing, true)
    }

    fn resolve_root(&mut self, entry: EntryId) -> Outcome {
        self.entries.get_mut(entry).set(Fact::Rooted, true);
        match self.entries.get(entry).role {
            Role::Server | Role::Consumer | Role::Internal => {
                self.know_as_invocation(entry);
                Outcome::Invocation {
                    parent: None,
                    caller: self.caller_of(entry, None),
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

    /// Resolves a span whose parent is known, unless the span must still wait.
    fn resolve_below(&mut self, entry: EntryId, parent: EntryId) -> Option<Outcome> {
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
            let resolved = self.entries.get_mut(entry);
            resolved.set(Fact::Rooted, parent_span.is(Fact::Rooted));
            resolved.previous_waiter_or_parent = Some(parent);
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

    /// The outcome of an invocation whose parent is known.
    fn invocation_below(&mut self, entry: EntryId, parent: EntryId) -> Outcome {
        let (span, parent_span) = (*self.entries.get(entry), *self.entries.get(parent));
        self.entries.get_mut(entry).previous_waiter_or_parent = Some(parent);
        // The spans form a cycle if the nearest invocation above the span is the span itself. The span then has no parent,
        // because no other invocation caused it.
        let is_cycle = parent_span.ancestor == span.span_id;
        if is_cycle || parent_span.is(Fact::Rooted) {
            self.root(entry);
        }
        Outcome::Invocation {
            parent: parent_span.ancestor().filter(|_| !is_cycle),
            caller: self.caller_of(entry, Some(parent)),
            orphan: is_cycle,
        }
    }

    fn call(&self, entry: EntryId, ancestor: Option<SpanId>, orphan: bool) -> Outcome {
        Outcome::Call {
            ancestor,
            callee: self.entries.get(entry).callee_instance,
            orphan,
        }
    }

    /// The call that caused a span: the span's parent, or the CLIENT span with the same id.
    fn caller_of(&self, entry: EntryId, parent: Option<EntryId>) -> Option<Caller> {
        let span = self.entries.get(entry);
        if !span.role.is_callee() {
            return None;
        }
        let caller = parent
            .filter(|&parent| self.entries.get(parent).role.is_call())
            .or_else(|| self.entries.twin_of(entry))?;
        let call = self.entries.get(caller);
        Some(Caller {
            span_id: SpanId(call.span_id),
            instance: call.instance,
            duration_ns: call.duration_ns,
            end_unix_ns: call.end_unix_ns,
            callees: call.callees,
        })
    }

    /// Resolves the spans that wait on newly known entries, then the spans that wait on these spans, and so on.
    fn notify_waiters(&mut self) {
        while let Some(parent) = self.to_notify.pop() {
            let mut next = self.entries.take_waiters(parent);
            while let Some(child) = next {
                next = self.entries.free_waiter(child);
                self.resolve_or_wait(child, parent);
            }
        }
    }

    /// Resolves a span whose parent is known. If the span must still wait, adds it to the parent's waiters.
    fn resolve_or_wait(&mut self, entry: EntryId, parent: EntryId) {
        match self.resolve_below(entry, parent) {
            Some(outcome) => self.report(entry, outcome),
            None => self.entries.wait_on(entry, parent),
        }
    }

    fn report(&mut self, entry: EntryId, outcome: Outcome) {
        let of = self.entries.get_mut(entry);
        let row = of.row.get();
        of.row = RowSlot::EMPTY;
        of.set(Fact::Resolved, true);
        if of.is(Fact::SecondWindow) {
            of.set(Fact::SecondWindow, false);
            self.extended -= 1;
        }
        if let Some(row) = row {
            self.resolved.push(Resolved { row, outcome });
        }
    }

    fn remove(&mut self, entry: EntryId) {
        while let Some(waiter) = self.entries.get(entry).first_waiter {
            self.relink_for_good(waiter);
            let waiting = *self.entries.get(waiter);
            if waiting.waits_on != Some(entry) {
                continue;
            }
            self.entries.stop_waiting(waiter);
            // If a waiter's parent is known, the waiter waited only because a later span could close a cycle. The wait is over.
            if self.entries.get(entry).is(Fact::Known) && waiting.is_known_invocation() {
                let outcome = self.invocation_below(waiter, entry);
                self.report(waiter, outcome);
            }
        }
        self.notify_waiters();
        self.entries.stop_waiting(entry);
        self.let_go(entry);
    }

    /// Removes an entry that neither waits nor is waited on.
    fn let_go(&mut self, entry: EntryId) {
        let span = self.entries.get(entry);
        if span.role.is_call() {
            self.evicted.push(Evicted {
                instance: span.instance,
                callee: span.callee_instance,
                peer: span.peer,
                is_message: span.role == Role::Producer,
                trace_id: span.trace_id,
                run: span.run(),
            });
        }
        self.entries.remove(entry);
    }
}
