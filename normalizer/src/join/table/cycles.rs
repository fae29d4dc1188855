//! Cycles: spans that are each other's ancestors, which only faulty telemetry contains. The table cuts each cycle at one span.
//! The choice depends on the spans in the cycle, but not on their order of arrival.
//!
//! A candidate is an invocation that lasted at least as long as its next ancestor that is an invocation. Each cycle has at
//! least one candidate. A candidate whose parent span has a row has priority; among several, the smallest span id wins. While a
//! cycle can still be closed, only the rows of candidates wait.

use super::super::entries::Entries;
use super::super::entry::{Entry, Fact, NO_SPAN};
use super::super::ids::EntryId;
use super::super::outcome::{Outcome, Role};
use super::JoinTable;

/// Maximum number of ancestors that are searched for a cycle. A longer path is cut as if it were a cycle.
const CYCLE_SPANS_MAX: usize = 1000;

impl JoinTable {
    /// Whether an invocation must wait although its parent is known. This is so if a cycle may still be closed and cut at this
    /// span.
    pub(super) fn may_be_cut(&self, span: &Entry, parent: &Entry) -> bool {
        if parent.is(Fact::Rooted) || parent.ancestor == span.span_id {
            return false;
        }
        let lasted = if parent.is_known_invocation() {
            Some(parent.duration_ns)
        } else {
            let first = self.entries.find(&parent.trace_id, &parent.ancestor);
            let ancestor = self.entries.among(first, |_, other| other.is_known_invocation());
            ancestor.map(|ancestor| self.entries.get(ancestor).duration_ns)
        };
        lasted.is_some_and(|lasted| lasted <= span.duration_ns)
    }

    /// Searches for a cycle that contains the span and its parent. Returns true if the cycle must be cut at this span; the
    /// caller then does so. If the cycle must be cut at another span, cuts it there and returns false.
    pub(super) fn is_cut(&mut self, entry: EntryId, parent: EntryId) -> bool {
        if self.entries.get(parent).is(Fact::Rooted) {
            return false;
        }
        let members = &mut self.members;
        let cut = place_of_cut(&self.entries, entry, parent, members);
        let found = cut.map(|place| (members[place], members[(place + 1) % members.len()]));
        members.clear();
        match found {
            Some((cut, _)) if cut == entry => true,
            Some((cut, parent)) => {
                self.cut(cut, parent);
                self.notify_waiters();
                false
            }
            None => false,
        }
    }

    /// Cuts a cycle at this span, whose parent on the cycle is `parent`, and resolves its row.
    pub(super) fn cut(&mut self, entry: EntryId, parent: EntryId) {
        // This must be done first: a call that becomes known stores its run in the field that links the list of waiters.
        self.entries.stop_waiting(entry);
        let outcome = self.outcome_of_cut(entry, parent);
        self.report(entry, outcome);
    }

    /// The outcome of the span at which a cycle is cut.
    pub(super) fn outcome_of_cut(&mut self, entry: EntryId, parent: EntryId) -> Outcome {
        let (span, parent_span) = (*self.entries.get(entry), *self.entries.get(parent));
        let is_work = span.is_known_invocation()
            || span.is_invocation_by_itself()
            || span.is_invocation_below(&parent_span);
        let is_inner = span.role == Role::Internal && !is_work;
        if span.role.is_call() || is_inner || matches!(span.role, Role::Poll | Role::Missing) {
            // Such a span is cut only if the path above it is too long, or if spans on the path have left the table.
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
            caller: self.caller_of(entry, Some(parent)),
            orphan: true,
        }
    }

    /// Records that the path to the root is complete, so the span is on no cycle. Spans that wait on it need not wait for a
    /// cycle.
    pub(super) fn root(&mut self, entry: EntryId) {
        let span = self.entries.get_mut(entry);
        span.set(Fact::Rooted, true);
        if span.is(Fact::Known) && span.first_waiter.is_some() {
            self.to_notify.push(entry);
        }
    }
}

/// Collects the cycle from `entry` through `parent` back to `entry` into `members`. Each span is followed by its parent.
/// Returns the index in `members` of the span at which the cycle is cut; `None` without a cycle.
fn place_of_cut(
    entries: &Entries,
    entry: EntryId,
    parent: EntryId,
    members: &mut Vec<EntryId>,
) -> Option<usize> {
    members.push(entry);
    let (mut at, mut mark) = (parent, entry);
    while at != entry {
        // The path leads into another cycle that does not contain `entry`.
        if at == mark {
            return None;
        }
        let span = entries.get(at);
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
        match entries.parent_in_table(at) {
            Some(parent) => at = parent,
            None => return is_way_lost(entries, members).then_some(0),
        }
    }
    let invocations: Vec<usize> = (0..members.len())
        .filter(|&place| is_invocation_on(entries, members, place))
        .collect();
    let span_of = |place: usize| entries.get(members[place]);
    if invocations.is_empty() {
        // There are two cases: each SERVER span is a second instrumentation of the next one, or the cycle has only calls and
        // inner spans.
        let servers = (0..members.len()).filter(|&place| span_of(place).role == Role::Server);
        return servers.min_by_key(|&place| span_of(place).span_id);
    }
    let order = |index: usize| {
        let place = invocations[index];
        let span = span_of(place);
        let invocation_above = span_of(invocations[(index + 1) % invocations.len()]);
        let parent_place = (place + 1) % members.len();
        let has_row = span_of(parent_place).role.is_call() || invocations.contains(&parent_place);
        let is_shorter = invocation_above.duration_ns > span.duration_ns;
        (
            span.is(Fact::Resolved),
            is_shorter,
            !has_row,
            span.span_id,
            span.role as u8,
        )
    };
    let cut = (0..invocations.len()).min_by_key(|&index| order(index))?;
    Some(invocations[cut])
}

/// Whether spans on the path left the table before the end of the path was known. Such a path may lead back to its start.
fn is_way_lost(entries: &Entries, members: &[EntryId]) -> bool {
    let last = members.last().map(|&last| entries.get(last));
    let has_left =
        |last: &Entry| last.is(Fact::Known) && last.waits_on.is_none() && last.parent_span_id != last.span_id;
    members.len() > 1 && last.is_some_and(has_left)
}

/// Whether a span on a cycle is an invocation, even if it is not marked as known.
fn is_invocation_on(entries: &Entries, members: &[EntryId], place: usize) -> bool {
    let member = |place: usize| entries.get(members[place % members.len()]);
    let (span, parent) = (member(place), member(place + 1));
    if span.is(Fact::Known) {
        return span.is_known_invocation();
    }
    if span.is_invocation_by_itself() || span.is_invocation_below(parent) {
        return true;
    }
    if span.role != Role::Server {
        return false;
    }
    for above in place + 1..=place + members.len() {
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

fn is_message(role: Role) -> bool {
    matches!(role, Role::Consumer | Role::Receipt)
}
