//! Receipts: CONSUMER spans that report receiving. A receipt either handles a message, or only polls for messages.

use super::super::entry::Fact;
use super::super::ids::EntryId;
use super::super::outcome::{Outcome, Role};
use super::JoinTable;

impl JoinTable {
    /// Decides whether a receipt handles its sender's message or is only a poll. Returns the receipt's role. If the parent has
    /// not arrived, nothing is decided. The receipt and its parent may arrive in either order.
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

    /// Marks the children of a poll that handle messages as invocations, whatever the parent of the poll is.
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
