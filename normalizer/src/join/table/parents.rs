//! Which of the spans that have arrived is a span's parent. Mostly one has the id that it names. In Zipkin's model a call and
//! its answer share one, and the parent follows from the whole set of spans, whatever their order.

use super::super::entry::{Entry, Fact, NO_SPAN, NONE, Role};
use super::JoinTable;

/// How well a span with the named id fits as the parent: the lesser goes before the greater.
type Rank = (u8, u8);

impl JoinTable {
    /// The best parent that has arrived, or `NONE`, and whether no better one can come.
    pub(super) fn choose(&self, entry: u32) -> (u32, bool) {
        let span = self.entries.get(entry);
        let may_share = span.is(Fact::MayShareId);
        if let Some(twin) = self.twin_call(entry, span) {
            return (twin, true);
        }
        let mut at = self
            .entries
            .find(&span.trace_id, &span.parent_span_id)
            .unwrap_or(NONE);
        let (mut best, mut best_rank, mut shares) = (NONE, (u8::MAX, u8::MAX), may_share);
        while at != NONE {
            let other = self.entries.get(at);
            if at != entry && other.role != Role::Missing {
                let rank = rank(span, other);
                if rank < best_rank {
                    (best, best_rank) = (at, rank);
                }
                shares |= other.is(Fact::MayShareId);
            }
            at = other.next_same_id;
        }
        let is_final = !shares || best_rank.0 == 0 && !(may_share && span.role.is_callee());
        (best, is_final)
    }

    /// The call that a callee shares its id with: its parent, as Zipkin has it.
    fn twin_call(&self, entry: u32, span: &Entry) -> Option<u32> {
        if !span.role.is_callee() || span.next_same_id == NONE && !span.is(Fact::MayShareId) {
            return None;
        }
        self.twin_of(entry)
    }

    /// The call that has a span's id and its parent.
    pub(super) fn twin_of(&self, entry: u32) -> Option<u32> {
        let span = self.entries.get(entry);
        let first = self.entries.find(&span.trace_id, &span.span_id);
        self.entries.among(first, |at, other| {
            at != entry && other.role.is_call() && other.parent_span_id == span.parent_span_id
        })
    }

    /// Hangs a span that waits on the best parent that has arrived. If that is its parent for good, it is judged by it.
    pub(super) fn relink(&mut self, entry: u32, is_last_time: bool) {
        let (best, is_final) = self.choose(entry);
        let is_final = is_final || is_last_time;
        if best == NONE {
            return;
        }
        if is_final {
            self.entries.get_mut(entry).set(Fact::Tentative, false);
        } else {
            self.set_tentative(entry);
        }
        if best != self.entries.get(entry).waits_on {
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
        self.tell_waiters();
    }

    /// A better parent may come within the span's window.
    pub(super) fn set_tentative(&mut self, entry: u32) {
        let span = self.entries.get_mut(entry);
        span.set(Fact::Tentative, true);
        self.tentative_until = self.tentative_until.max(span.deadline);
    }

    /// What a parent that has arrived decides, for a span that hangs on it.
    fn judge(&mut self, entry: u32, parent: u32) {
        let (span, above) = (*self.entries.get(entry), *self.entries.get(parent));
        if !span.is(Fact::Known) && span.is_invocation_below(&above) {
            self.know_as_invocation(entry);
        }
        if above.is(Fact::Known) && self.entries.get(entry).waits_on == parent {
            self.entries.stop_waiting(entry);
            self.settle_or_hang(entry, parent);
        }
    }

    /// A span has arrived that others name as their parent: it may decide what they are before it is known itself.
    pub(super) fn judge_waiters(&mut self, parent: u32) {
        let above = *self.entries.get(parent);
        let mut sharing = Vec::new();
        let mut waiter = above.first_waiter;
        while waiter != NONE {
            let waiting = *self.entries.get(waiter);
            if above.is(Fact::MayShareId) || waiting.is(Fact::MayShareId) {
                sharing.push(waiter);
            } else if waiting.role == Role::Receipt && self.judge_receipt(waiter, parent) == Role::Poll {
                // It has no row to wait for.
            } else if !waiting.is(Fact::Known) && waiting.is_invocation_below(&above) {
                self.know_as_invocation(waiter);
            }
            waiter = waiting.next_waiter;
        }
        self.tell_waiters();
        self.relink_all(&sharing);
    }

    /// A span has arrived whose id others have, too: an answer may be the call's, and what hangs on one of them may be the
    /// other's.
    pub(super) fn meet_twins(&mut self, entry: u32, first: u32) {
        let span = *self.entries.get(entry);
        let mut moving = Vec::new();
        let mut twin = first;
        while twin != NONE {
            let other = *self.entries.get(twin);
            if span.role.is_call() && other.role.is_callee() && other.parent_span_id == span.parent_span_id {
                if other.is(Fact::MayShareId) && other.waits_on != NONE {
                    moving.push(twin);
                } else {
                    self.note_callee(entry, other.instance);
                }
            }
            let mut waiter = other.first_waiter;
            while waiter != NONE {
                let waiting = *self.entries.get(waiter);
                if rank(&waiting, &span) < rank(&waiting, &other) {
                    moving.push(waiter);
                }
                waiter = waiting.next_waiter;
            }
            twin = other.next_same_id;
        }
        self.relink_all(&moving);
    }

    fn relink_all(&mut self, waiters: &[u32]) {
        for &waiter in waiters {
            if self.entries.get(waiter).waits_on != NONE {
                self.relink(waiter, false);
            }
        }
    }

    pub(super) fn note_callee(&mut self, call: u32, instance: u32) {
        let call = self.entries.get_mut(call);
        call.callees = call.callees.saturating_add(1);
        if call.callee_instance == NONE {
            call.callee_instance = instance;
        }
    }

    /// The one that an arrived span hangs on or hung on, or `NONE`.
    pub(super) fn parent_at(&self, entry: u32) -> u32 {
        let span = self.entries.get(entry);
        if span.waits_on != NONE || !span.is(Fact::Known) || span.parent_span_id == NO_SPAN {
            return span.waits_on;
        }
        self.choose(entry).0
    }
}

/// A callee that has no call of its own id hangs on the callee with the id that it names, else on the call. Anything else
/// hangs on its own instance, there on the callee before the call.
fn rank(span: &Entry, parent: &Entry) -> Rank {
    let is_foreign = !span.role.is_callee() && span.instance != NONE && !parent.is_of_instance(span);
    (
        2 * u8::from(is_foreign) + u8::from(parent.role.is_call()),
        parent.role as u8,
    )
}
