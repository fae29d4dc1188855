//! What happens when a span's window has passed: what it is, is decided by what has arrived.

use super::super::entry::{Fact, NONE, Outcome, Role};
use super::JoinTable;

/// Spans on the way up from a row that are looked at for one that still decides. Who waits below more is an orphan.
const SPANS_ABOVE_MAX: usize = 1000;

impl JoinTable {
    /// Lets go of all spans whose window has passed, and of the oldest where there are too many: their held rows are
    /// settled as orphans, unless a span above them still decides within its own window.
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
                if self.decide(entry, is_crowded) {
                    self.wait_on_in_second_window(entry, now);
                    continue;
                }
                let needed_until = self.entries.needed_until(entry);
                let span = self.entries.get_mut(entry);
                let is_needed = needed_until >= deadline && span.first_waiter != NONE;
                // It may be on a cycle that is seen when a span that shares its id knows its parent.
                let is_kept = deadline <= self.tentative_until && !span.is(Fact::Kept);
                if is_crowded || !is_needed && !is_kept {
                    self.remove(entry);
                } else if !is_needed {
                    span.set(Fact::Kept, true);
                    self.set_deadline(entry, now);
                } else {
                    // What came later and hangs on it has its own window, in which the parent may still come.
                    self.entries.get_mut(entry).needed_until = needed_until;
                    self.set_deadline(entry, now);
                }
            }
        }
    }

    /// Rows that wait in a second window.
    pub fn extended(&self) -> usize {
        self.extended
    }

    fn wait_on_in_second_window(&mut self, entry: u32, now: u64) {
        let deadline = self.set_deadline(entry, now);
        let span = self.entries.get_mut(entry);
        // At the end of time those that wait on each other must not keep each other for ever.
        span.needed_until = deadline.min(u64::MAX - 1);
        span.set(Fact::SecondWindow, true);
        self.extended += 1;
    }

    /// Decides what a span is whose window has passed; true if its row has to wait for what is decided above.
    fn decide(&mut self, entry: u32, is_crowded: bool) -> bool {
        if self.entries.get(entry).is(Fact::Tentative) || self.hangs_on_known(entry) {
            self.firm_up(entry);
        }
        let span = *self.entries.get(entry);
        if span.row == NONE {
            return false;
        }
        let is_open = span.role == Role::Server && !span.is(Fact::Known);
        let is_below = is_open && self.is_below_server(entry);
        if is_open && self.hangs_on_known(entry) {
            self.firm_up(entry);
        }
        let may_wait = !is_crowded
            && !self.entries.get(entry).is(Fact::SecondWindow)
            && !self.hangs_on_known(entry)
            && self.is_decided_above(entry);
        if !may_wait {
            self.settle_now(entry);
        } else if is_open && !is_below && !self.entries.get(entry).is(Fact::Known) {
            self.know_as_invocation(entry);
            self.tell_waiters();
        }
        may_wait && !self.entries.get(entry).is(Fact::Settled)
    }

    /// Settles a row by what is known.
    pub(super) fn settle_now(&mut self, entry: u32) {
        let span = *self.entries.get(entry);
        if span.row == NONE {
            return;
        }
        if self.hangs_on_known(entry) && !span.is(Fact::Tentative) && span.is_known_invocation() {
            self.entries.stop_waiting(entry);
            let outcome = self.invocation_below(entry, span.waits_on);
            self.report(entry, outcome);
            return self.tell_waiters();
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
            self.tell_waiters();
        }
    }

    /// Decides on the parents of a span and of those above it: all that belongs to them has had time to arrive.
    fn firm_up(&mut self, entry: u32) {
        let mut at = entry;
        for _ in 0..SPANS_ABOVE_MAX {
            self.relink_for_good(at);
            at = self.parent_at(at);
            if at == NONE || at == entry || self.entries.get(at).is(Fact::Rooted) {
                return;
            }
        }
    }

    pub(super) fn relink_for_good(&mut self, entry: u32) {
        if self.entries.get(entry).is(Fact::Tentative) {
            self.relink(entry, true);
            self.entries.get_mut(entry).set(Fact::Tentative, false);
        }
    }

    fn hangs_on_known(&self, entry: u32) -> bool {
        let parent = self.entries.get(entry).waits_on;
        parent != NONE && self.entries.get(parent).is(Fact::Known)
    }

    /// Whether a SERVER span is a second instrumentation's, since one of its own instance is above, whatever that is itself.
    fn is_below_server(&mut self, entry: u32) -> bool {
        let mut at = entry;
        for _ in 0..SPANS_ABOVE_MAX {
            let above = self.entries.get(at).waits_on;
            if above == NONE {
                return false;
            }
            self.relink_for_good(above);
            let (below, parent) = (self.entries.get(at), self.entries.get(above));
            if !parent.is_of_instance(below) || above == entry {
                return false;
            }
            match parent.role {
                Role::Server => return true,
                Role::Internal | Role::Poll if !parent.is_known_invocation() => at = above,
                _ => return false,
            }
        }
        false
    }

    /// Whether something above a row decides within its own window: a SERVER or CONSUMER span on whether it is an invocation, or
    /// a span on who its parent is.
    fn is_decided_above(&self, entry: u32) -> bool {
        let mut at = self.entries.get(entry).waits_on;
        for _ in 0..SPANS_ABOVE_MAX {
            if at == NONE || at == entry {
                return false;
            }
            let above = self.entries.get(at);
            let decides = above.role.is_callee() && !above.is(Fact::Settled) && above.row != NONE;
            if above.is(Fact::Tentative) || decides && !above.is(Fact::Known) {
                return true;
            }
            at = above.waits_on;
        }
        false
    }
}
