//! Expiry: at the end of a span's window, the outcome is decided with the spans that have arrived.

use super::super::entry::Fact;
use super::super::ids::EntryId;
use super::super::outcome::{Outcome, Role};
use super::JoinTable;

/// Maximum number of ancestors of a row that are searched for an undecided span. More distant ancestors are ignored.
const SPANS_ABOVE_MAX: usize = 1000;

impl JoinTable {
    /// Removes all spans whose window has passed, except spans on which later spans still wait. If the table has too many spans,
    /// also removes the oldest ones. Rows without a known parent become orphans. If an ancestor of a row is still undecided
    /// within its own window, the row waits for a second window.
    pub fn expire(&mut self, now: u64) {
        while let Some(&(deadline, entry)) = self.deadlines.front() {
            let current = self.entries.get(entry);
            let is_current = current.is(Fact::Alive) && current.deadline == deadline;
            let is_done = current.is_done();
            let is_crowded = self.len() > self.entries_max;
            if is_current && deadline > now && !is_crowded {
                break;
            }
            self.deadlines.pop_front();
            self.entries.prefetch_expiring(&self.deadlines);
            if is_current {
                // Nearly all spans are done at their deadline, and leave at once.
                if is_done && (is_crowded || deadline > self.tentative_until) {
                    self.let_go(entry);
                    continue;
                }
                if self.decide(entry, is_crowded) {
                    self.begin_second_window(entry, now);
                    continue;
                }
                let needed_until = self.entries.needed_until(entry);
                let span = self.entries.get_mut(entry);
                let is_needed = needed_until >= deadline && span.first_waiter.is_some();
                // The span may be on a cycle that is found only later: when a span with a shared id gets its final parent.
                let is_kept = deadline <= self.tentative_until && !span.is(Fact::Kept);
                if is_crowded || !is_needed && !is_kept {
                    self.remove(entry);
                } else if !is_needed {
                    span.set(Fact::Kept, true);
                    self.set_deadline(entry, now);
                } else {
                    // Later spans still wait on this entry, each within its own window.
                    self.entries.get_mut(entry).needed_until = needed_until;
                    self.set_deadline(entry, now);
                }
            }
        }
    }

    /// Sets the time at which an entry is examined next: one window from now.
    pub(super) fn set_deadline(&mut self, entry: EntryId, now: u64) -> u64 {
        let deadline = now.saturating_add(self.window_ns);
        self.entries.get_mut(entry).deadline = deadline;
        self.deadlines.push_back((deadline, entry));
        deadline
    }

    /// Sets the deadline of a span that has just arrived.
    pub(super) fn set_deadline_on_arrival(&mut self, entry: EntryId, was_awaited: bool, now: u64) {
        let deadline = now.saturating_add(self.window_ns);
        let span = self.entries.get_mut(entry);
        span.needed_until = deadline;
        // An entry that was added for a child of the same request has this deadline already, and its pair is in the queue.
        if !was_awaited || span.deadline != deadline {
            span.deadline = deadline;
            self.deadlines.push_back((deadline, entry));
        }
    }

    /// Number of rows that wait in a second window for an undecided ancestor.
    pub fn extended(&self) -> usize {
        self.extended
    }

    fn begin_second_window(&mut self, entry: EntryId, now: u64) {
        let deadline = self.set_deadline(entry, now);
        let span = self.entries.get_mut(entry);
        // At shutdown, all deadlines are `u64::MAX`. With this value here, spans that wait on each other would never be
        // removed.
        span.needed_until = deadline.min(u64::MAX - 1);
        span.set(Fact::SecondWindow, true);
        self.extended += 1;
    }

    /// Decides the outcome of a span at the end of its window. Returns true if its row must wait for an undecided ancestor.
    fn decide(&mut self, entry: EntryId, is_crowded: bool) -> bool {
        if self.entries.get(entry).is(Fact::Tentative) || self.waits_on_known(entry) {
            self.fix_parents_above(entry);
        }
        let span = *self.entries.get(entry);
        if span.row.is_empty() {
            return false;
        }
        let is_open = span.role == Role::Server && !span.is(Fact::Known);
        let is_below = is_open && self.is_below_server(entry);
        if is_open && self.waits_on_known(entry) {
            self.fix_parents_above(entry);
        }
        let may_wait = !is_crowded
            && !self.entries.get(entry).is(Fact::SecondWindow)
            && !self.waits_on_known(entry)
            && self.is_decided_above(entry);
        if !may_wait {
            self.resolve_now(entry);
        } else if is_open && !is_below && !self.entries.get(entry).is(Fact::Known) {
            self.know_as_invocation(entry);
            self.notify_waiters();
        }
        may_wait && !self.entries.get(entry).is(Fact::Resolved)
    }

    /// Resolves a row with the spans that have arrived.
    pub(super) fn resolve_now(&mut self, entry: EntryId) {
        let span = *self.entries.get(entry);
        if span.row.is_empty() {
            return;
        }
        if let Some(parent) = span.waits_on
            && self.entries.get(parent).is(Fact::Known)
            && !span.is(Fact::Tentative)
            && span.is_known_invocation()
        {
            self.entries.stop_waiting(entry);
            let outcome = self.invocation_below(entry, parent);
            self.report(entry, outcome);
            return self.notify_waiters();
        }
        let outcome = match span.role {
            role if role.is_call() => self.call(entry, None, true),
            Role::Internal if !span.is_known_invocation() => Outcome::Nothing,
            _ => Outcome::Invocation {
                parent: None,
                caller: self.caller_of(entry, span.waits_on),
                orphan: true,
            },
        };
        self.report(entry, outcome);
        if span.role.is_callee() && !span.is(Fact::Known) {
            self.know_as_invocation(entry);
        }
        if self.entries.get(entry).is_known_invocation() {
            self.entries.stop_waiting(entry);
            self.root(entry);
            self.notify_waiters();
        }
    }

    /// Makes the parents of a span and of its ancestors final. Better parents have had enough time to arrive.
    fn fix_parents_above(&mut self, entry: EntryId) {
        let mut at = entry;
        for _ in 0..SPANS_ABOVE_MAX {
            self.relink_for_good(at);
            match self.entries.parent_in_table(at) {
                Some(parent) if parent != entry && !self.entries.get(parent).is(Fact::Rooted) => at = parent,
                _ => return,
            }
        }
    }

    pub(super) fn relink_for_good(&mut self, entry: EntryId) {
        if self.entries.get(entry).is(Fact::Tentative) {
            self.relink(entry, true);
            self.entries.get_mut(entry).set(Fact::Tentative, false);
        }
    }

    fn waits_on_known(&self, entry: EntryId) -> bool {
        let parent = self.entries.get(entry).waits_on;
        parent.is_some_and(|parent| self.entries.get(parent).is(Fact::Known))
    }

    /// Whether a SERVER span is a second instrumentation: it has an ancestor that is a SERVER span of its instance, with only
    /// inner spans and polls between them.
    fn is_below_server(&mut self, entry: EntryId) -> bool {
        let mut at = entry;
        for _ in 0..SPANS_ABOVE_MAX {
            let Some(parent) = self.entries.get(at).waits_on else {
                return false;
            };
            self.relink_for_good(parent);
            let (span, parent_span) = (self.entries.get(at), self.entries.get(parent));
            if !parent_span.is_of_instance(span) || parent == entry {
                return false;
            }
            match parent_span.role {
                Role::Server => return true,
                Role::Internal | Role::Poll if !parent_span.is_known_invocation() => at = parent,
                _ => return false,
            }
        }
        false
    }

    /// Whether the outcome of a row depends on an ancestor that is still undecided within its own window. Undecided are SERVER
    /// and CONSUMER spans that may turn out to be invocations, and spans whose parent is not final.
    fn is_decided_above(&self, entry: EntryId) -> bool {
        let mut next = self.entries.get(entry).waits_on;
        for _ in 0..SPANS_ABOVE_MAX {
            let Some(ancestor) = next.filter(|&ancestor| ancestor != entry) else {
                return false;
            };
            let span = self.entries.get(ancestor);
            let decides = span.role.is_callee() && !span.is(Fact::Resolved) && !span.row.is_empty();
            if span.is(Fact::Tentative) || decides && !span.is(Fact::Known) {
                return true;
            }
            next = span.waits_on;
        }
        false
    }
}
