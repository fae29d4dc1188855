//! Chooses the parent of a span among the spans that have arrived. Usually only one span has the parent's id. In Zipkin's
//! model, a call and its answer have the same id. Then the choice depends on all spans with that id, but not on their order of
//! arrival.

use aggregate::ids::InstanceId;

use super::super::entries::Entries;
use super::super::entry::{Entry, Fact};
use super::super::ids::EntryId;
use super::super::outcome::Role;
use super::JoinTable;

/// How well a span with the parent's id fits as the parent. The span with the smallest rank is chosen.
type Rank = (u8, u8);

impl Entries {
    /// The best parent that has arrived, and whether no better one can arrive.
    pub(super) fn best_parent(&self, entry: EntryId) -> (Option<EntryId>, bool) {
        let span = self.get(entry);
        if let Some(twin) = self.twin_call(entry) {
            return (Some(twin), true);
        }
        self.best_of(entry, self.find(&span.trace_id, &span.parent_span_id))
    }

    /// The best parent among `first` and the following entries with the same id, and whether no better one can arrive.
    #[inline]
    pub(super) fn best_of(&self, entry: EntryId, first: Option<EntryId>) -> (Option<EntryId>, bool) {
        let span = self.get(entry);
        let may_share = span.is(Fact::MayShareId);
        let mut next = first;
        let (mut best, mut best_rank, mut shares) = (None, (u8::MAX, u8::MAX), may_share);
        while let Some(candidate) = next {
            let other = self.get(candidate);
            if candidate != entry && other.role != Role::Missing {
                let rank = rank(span, other);
                if rank < best_rank {
                    (best, best_rank) = (Some(candidate), rank);
                }
                shares |= other.is(Fact::MayShareId);
            }
            next = other.next_same_id;
        }
        let is_final = !shares || best_rank.0 == 0 && !(may_share && span.role.is_callee());
        (best, is_final)
    }

    /// The call with the same id as a callee. In Zipkin's model, this call is the callee's parent.
    pub(super) fn twin_call(&self, entry: EntryId) -> Option<EntryId> {
        let span = self.get(entry);
        if !span.role.is_callee() || span.next_same_id.is_none() && !span.is(Fact::MayShareId) {
            return None;
        }
        self.twin_of(entry)
    }

    /// The call that has the same id and the same parent as a span.
    pub(super) fn twin_of(&self, entry: EntryId) -> Option<EntryId> {
        let span = self.get(entry);
        let first = self.find(&span.trace_id, &span.span_id);
        self.among(first, |candidate, other| {
            candidate != entry && other.role.is_call() && other.parent_span_id == span.parent_span_id
        })
    }

    /// The parent that a span waits on; or, if the span is resolved, the parent with which its row was written, even if a
    /// better one has arrived since.
    pub(super) fn parent_in_table(&self, entry: EntryId) -> Option<EntryId> {
        let span = self.get(entry);
        if span.waits_on.is_some() || !span.is(Fact::Known) {
            return span.waits_on;
        }
        // The parent's entry in the table may have been reused for another span.
        let is_still_there = |other: &Entry| {
            let is_named = other.span_id == span.parent_span_id;
            let is_twin = other.span_id == span.span_id && span.role.is_callee() && other.role.is_call();
            let is_below_same = span.ancestor == span.span_id || span.ancestor == other.ancestor;
            other.is(Fact::Alive)
                && other.is(Fact::Known)
                && (is_named || is_twin)
                && is_below_same
                && other.trace_id == span.trace_id
        };
        let parent = span.previous_waiter_or_parent;
        parent.filter(|&parent| is_still_there(self.get(parent)))
    }
}

impl JoinTable {
    /// Makes a waiting span wait on the best parent that has arrived. If no better parent can arrive, also decides whether the
    /// span is an invocation, a call or neither.
    pub(super) fn relink(&mut self, entry: EntryId, is_last_time: bool) {
        let (best, is_final) = self.entries.best_parent(entry);
        let is_final = is_final || is_last_time;
        let Some(best) = best else { return };
        if is_final {
            self.entries.get_mut(entry).set(Fact::Tentative, false);
        } else {
            self.set_tentative(entry);
        }
        if self.entries.get(entry).waits_on != Some(best) {
            self.entries.stop_waiting(entry);
            self.entries.wait_on(entry, best);
        }
        if !is_final {
            return;
        }
        let span = *self.entries.get(entry);
        if span.role == Role::Receipt {
            self.judge_receipt(entry, best);
        } else if span.role.is_callee() && span.is(Fact::MayShareId) {
            self.note_callee(best, span.instance);
        }
        if self.is_cut(entry, best) {
            self.cut(entry, best);
        } else {
            self.judge(entry, best);
        }
        self.notify_waiters();
    }

    /// Records that a better parent may arrive within the span's window.
    pub(super) fn set_tentative(&mut self, entry: EntryId) {
        let span = self.entries.get_mut(entry);
        span.set(Fact::Tentative, true);
        self.tentative_until = self.tentative_until.max(span.deadline);
    }

    /// Decides the outcome of a waiting span after its parent has arrived.
    fn judge(&mut self, entry: EntryId, parent: EntryId) {
        let (span, parent_span) = (*self.entries.get(entry), *self.entries.get(parent));
        if !span.is(Fact::Known) && span.is_invocation_below(&parent_span) {
            self.know_as_invocation(entry);
        }
        if parent_span.is(Fact::Known) && self.entries.get(entry).waits_on == Some(parent) {
            self.entries.stop_waiting(entry);
            self.resolve_or_wait(entry, parent);
        }
    }

    /// Decides the outcomes of the spans that wait on a new span, as far as the role and instance of the new span determine
    /// them.
    pub(super) fn judge_waiters(&mut self, parent: EntryId) {
        let parent_span = *self.entries.get(parent);
        let mut sharing = Vec::new();
        let mut next = parent_span.first_waiter;
        while let Some(waiter) = next {
            let waiting = *self.entries.get(waiter);
            if parent_span.is(Fact::MayShareId) || waiting.is(Fact::MayShareId) {
                sharing.push(waiter);
            } else if waiting.role == Role::Receipt && self.judge_receipt(waiter, parent) == Role::Poll {
                // A poll has no row that could wait.
            } else if !waiting.is(Fact::Known) && waiting.is_invocation_below(&parent_span) {
                self.know_as_invocation(waiter);
            }
            next = waiting.next_waiter();
        }
        self.notify_waiters();
        self.relink_all(&sharing);
    }

    /// Handles a new span with the same id as earlier spans. If the new span is a call, an earlier span may be its answer.
    /// Spans that wait on an earlier span may have the new one as a better parent.
    pub(super) fn meet_twins(&mut self, entry: EntryId, first: EntryId) {
        let span = *self.entries.get(entry);
        let mut moving = Vec::new();
        let mut next_twin = Some(first);
        while let Some(twin) = next_twin {
            let other = *self.entries.get(twin);
            if span.role.is_call() && other.role.is_callee() && other.parent_span_id == span.parent_span_id {
                if other.is(Fact::MayShareId) && other.waits_on.is_some() {
                    moving.push(twin);
                } else {
                    self.note_callee(entry, other.instance);
                }
            }
            let mut next_waiter = other.first_waiter;
            while let Some(waiter) = next_waiter {
                let waiting = *self.entries.get(waiter);
                if rank(&waiting, &span) < rank(&waiting, &other) {
                    moving.push(waiter);
                }
                next_waiter = waiting.next_waiter();
            }
            next_twin = other.next_same_id;
        }
        self.relink_all(&moving);
    }

    fn relink_all(&mut self, waiters: &[EntryId]) {
        for &waiter in waiters {
            if self.entries.get(waiter).waits_on.is_some() {
                self.relink(waiter, false);
            }
        }
    }

    /// Counts a callee of a call, and stores the instance of the first one.
    pub(super) fn note_callee(&mut self, call: EntryId, instance: Option<InstanceId>) {
        let call = self.entries.get_mut(call);
        call.callees = call.callees.saturating_add(1);
        if call.callee_instance.is_none() {
            call.callee_instance = instance;
        }
    }
}

/// Ranks a candidate for the parent of a span. For a callee, a candidate that is itself a callee has priority over a call. For
/// any other span, candidates of its own instance have priority; among these, callees have priority over calls.
fn rank(span: &Entry, parent: &Entry) -> Rank {
    let is_foreign = !span.role.is_callee() && span.instance.is_some() && !parent.is_of_instance(span);
    (
        2 * u8::from(is_foreign) + u8::from(parent.role.is_call()),
        parent.role as u8,
    )
}
