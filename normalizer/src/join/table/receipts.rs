//! Receipts: CONSUMER spans that say they receive, and either handle the message or only poll.

use super::super::entry::{Fact, NONE, Outcome, Role};
use super::JoinTable;

impl JoinTable {
    /// Decides what a receipt is when its parent has arrived, whichever of the two came first: its sender's callee, or a poll.
    /// Returns the role that it has from now on.
    pub(super) fn judge_receipt(&mut self, receipt: u32, parent: u32) -> Role {
        let role = self.entries.get(receipt).role;
        if role != Role::Receipt || self.entries.get(parent).role == Role::Missing {
            return role;
        }
        let (span, above) = (*self.entries.get(receipt), *self.entries.get(parent));
        if span.is(Fact::Known) || !span.is_poll_below(&above) {
            self.note_callee(parent, span.instance);
            return role;
        }
        self.entries.get_mut(receipt).role = Role::Poll;
        self.report(receipt, Outcome::Nothing);
        self.know_consumers_below(receipt);
        Role::Poll
    }

    /// Spans that handle messages below a poll are invocations, whatever stands above the poll.
    fn know_consumers_below(&mut self, poll: u32) {
        let parent = *self.entries.get(poll);
        let mut waiter = parent.first_waiter;
        while waiter != NONE {
            let waiting = *self.entries.get(waiter);
            if !waiting.is(Fact::Known) && waiting.is_invocation_below(&parent) {
                self.know_as_invocation(waiter);
            }
            waiter = waiting.next_waiter;
        }
    }
}
