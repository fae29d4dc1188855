//! Spans that are each other's ancestors, which no sound telemetry has. A cycle is cut at one place, which depends on the
//! spans alone: of its invocations that lasted no shorter than the one above them, of which each cycle has some, one whose
//! parent span has a row, and of these the least by span id. Only such a row waits while a cycle can still close.

use super::super::entry::{Entry, Fact, NO_SPAN, NONE, Outcome, Role};
use super::JoinTable;

/// Spans on the way up that are looked at for a cycle; a longer way whose end is unknown is cut as if it were one.
const CYCLE_SPANS_MAX: usize = 1000;

impl JoinTable {
    /// Whether an invocation has to wait although what is above is known: a cycle may still close, and be cut at it.
    pub(super) fn may_be_cut(&self, span: &Entry, parent: &Entry) -> bool {
        if parent.is(Fact::Rooted) || parent.ancestor == span.span_id {
            return false;
        }
        let lasted = if parent.is_known_invocation() {
            Some(parent.duration_ns)
        } else {
            let first = self.entries.find(&parent.trace_id, &parent.ancestor);
            let above = self.entries.among(first, |_, other| other.is_known_invocation());
            above.map(|above| self.entries.get(above).duration_ns)
        };
        lasted.is_some_and(|lasted| lasted <= span.duration_ns)
    }

    /// Whether the span closes a cycle by its parent, or may do so, and is where that is cut. Cuts it elsewhere if that is due.
    pub(super) fn is_cut(&mut self, entry: u32, parent: u32) -> bool {
        if self.entries.get(parent).is(Fact::Rooted) {
            return false;
        }
        let mut members = std::mem::take(&mut self.members);
        let cut = self.place_of_cut(entry, parent, &mut members);
        let found = cut.map(|at| (members[at], members[(at + 1) % members.len()]));
        members.clear();
        self.members = members;
        match found {
            Some((cut, _)) if cut == entry => true,
            Some((cut, above)) => {
                self.cut(cut, above);
                self.tell_waiters();
                false
            }
            None => false,
        }
    }

    /// Settles a row at which a cycle is cut; `above` is its parent on the cycle.
    pub(super) fn cut(&mut self, entry: u32, above: u32) {
        let outcome = self.outcome_of_cut(entry, above);
        self.entries.stop_waiting(entry);
        self.report(entry, outcome);
    }

    /// What a span is at which a cycle is cut.
    pub(super) fn outcome_of_cut(&mut self, entry: u32, above: u32) -> Outcome {
        let (span, parent) = (*self.entries.get(entry), *self.entries.get(above));
        let is_work =
            span.is_known_invocation() || span.is_invocation_by_itself() || span.is_invocation_below(&parent);
        let is_inner = span.role == Role::Internal && !is_work;
        if span.role.is_call() || is_inner || matches!(span.role, Role::Poll | Role::Missing) {
            // Only where the way up was too long to be looked at.
            if !span.is(Fact::Known) {
                self.know(entry, NO_SPAN, false);
            }
            self.root(entry);
            return if span.role.is_call() {
                self.call(entry, None, true)
            } else {
                Outcome::Nothing
            };
        }
        if !span.is(Fact::Known) {
            self.know_as_invocation(entry);
        }
        self.root(entry);
        Outcome::Invocation {
            parent: None,
            caller: self.caller_of(entry, above),
            orphan: true,
        }
    }

    /// The way up from the span has an end; what hangs on it need not wait for a cycle any more.
    pub(super) fn root(&mut self, entry: u32) {
        let span = self.entries.get_mut(entry);
        span.set(Fact::Rooted, true);
        if span.is(Fact::Known) && span.first_waiter != NONE {
            self.to_tell.push(entry);
        }
    }

    /// Collects the spans on the cycle that begins with `entry` and goes on with `parent`, each followed by its parent;
    /// the place among them where it is cut.
    fn place_of_cut(&self, entry: u32, parent: u32, members: &mut Vec<u32>) -> Option<usize> {
        members.push(entry);
        let (mut at, mut mark) = (parent, entry);
        while at != entry {
            // The way ends, or leads into a cycle that is not closed here.
            if at == NONE || at == mark {
                return (at == NONE && self.is_way_lost(members)).then_some(0);
            }
            let span = self.entries.get(at);
            if span.role == Role::Missing || span.is(Fact::Rooted) || span.is(Fact::Tentative) {
                return None;
            }
            if members.len() >= CYCLE_SPANS_MAX {
                return Some(0);
            }
            if members.len().is_power_of_two() {
                mark = at;
            }
            members.push(at);
            at = self.parent_at(at);
        }
        let invocations: Vec<usize> = (0..members.len())
            .filter(|&at| self.is_invocation_on(members, at))
            .collect();
        let span_of = |at: usize| self.entries.get(members[at]);
        if invocations.is_empty() {
            // Each a second instrumentation of the next, or calls and inner work alone, which nobody made.
            let servers = (0..members.len()).filter(|&at| span_of(at).role == Role::Server);
            return servers.min_by_key(|&at| span_of(at).span_id);
        }
        let order = |place: usize| {
            let at = invocations[place];
            let (span, above) = (span_of(at), span_of(invocations[(place + 1) % invocations.len()]));
            let parent_at = (at + 1) % members.len();
            let has_row = span_of(parent_at).role.is_call() || invocations.contains(&parent_at);
            let is_shorter = above.duration_ns > span.duration_ns;
            (
                span.is(Fact::Settled),
                is_shorter,
                !has_row,
                span.span_id,
                span.role as u8,
            )
        };
        let cut = (0..invocations.len()).min_by_key(|&place| order(place))?;
        Some(invocations[cut])
    }

    /// Whether spans above have left, after their window, before the way up from them had an end: it may lead back here.
    fn is_way_lost(&self, members: &[u32]) -> bool {
        let last = members.last().map(|&last| self.entries.get(last));
        let has_left = |last: &Entry| {
            last.is(Fact::Known) && last.waits_on == NONE && last.parent_span_id != last.span_id
        };
        members.len() > 1 && last.is_some_and(has_left)
    }

    /// Whether a span on a cycle is an invocation, known or not.
    fn is_invocation_on(&self, members: &[u32], at: usize) -> bool {
        let member = |at: usize| self.entries.get(members[at % members.len()]);
        let (span, parent) = (member(at), member(at + 1));
        if span.is(Fact::Known) {
            return span.is_known_invocation();
        }
        if span.is_invocation_by_itself() || span.is_invocation_below(parent) {
            return true;
        }
        if span.role != Role::Server {
            return false;
        }
        for above in at + 1..=at + members.len() {
            let (below, other) = (member(above - 1), member(above));
            if !other.is_of_instance(below) || other.role.is_call() || is_message(other.role) {
                return true;
            }
            if other.role == Role::Server || other.is(Fact::WithinServer) {
                return false;
            }
            let is_inner = !other.is(Fact::Known)
                && !other.is_invocation_by_itself()
                && !other.is_invocation_below(member(above + 1));
            if !is_inner {
                return true;
            }
        }
        true
    }
}

fn is_message(role: Role) -> bool {
    matches!(role, Role::Consumer | Role::Receipt)
}
