//! Receipts: CONSUMER spans that say they receive, and either handle the message or only poll.

use super::super::entry::Fact;
use super::super::ids::EntryId;
use super::super::outcome::{Outcome, Role};
use super::JoinTable;

impl JoinTable {
    /// Decides what a receipt is when its parent has arrived, whichever of the two arrived first: its sender's callee, or a
    /// poll. Returns its role from now on.
    pub(super) fn judge_receipt(&mut self, receipt: EntryId, parent: EntryId) -> Role {
        let role = self.entries.get(receipt).role;
        if role != Role::Receipt || self.entries.get(parent).role == Role::Missing {
            return role;
        }
        let (span, parent_span) = (*self.entries.get(receipt), *self.entries.get(parent));
        if span.is(Fact::Known) || !span.is_poll_below(&parent_span) {
            self.note_callee(parent, span.instance);
            return role;
        }
        self.entries.get_mut(receipt).role = Role::Poll;
        self.report(receipt, Outcome::Nothing);
        self.know_consumers_below(receipt);
        Role::Poll
    }

    /// Spans that handle messages below a poll are invocations, whatever the parent of the poll is.
    fn know_consumers_below(&mut self, poll: EntryId) {
        let parent = *self.entries.get(poll);
        let mut next = parent.first_waiter;
        while let Some(waiter) = next {
            let waiting = *self.entries.get(waiter);
            if !waiting.is(Fact::Known) && waiting.is_invocation_below(&parent) {
                self.know_as_invocation(waiter);
            }
            next = waiting.next_waiter();
        }
    }
}
