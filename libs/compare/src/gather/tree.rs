//! [`Tree`]: the invocation that each call reached, the calls that each invocation made, and the roots.

use std::hash::BuildHasher;

use cctf_proto::cctf::{SpanId, TraceId};
use foldhash::fast::FixedState;

use super::names::FixedMap;
use super::rows::{Call, Invocation, NONE, Outcome, RootId, Rows, UNKNOWN};

/// The connections between a run's rows. Rows are identified by their numbers.
#[derive(Debug, Default)]
pub struct Tree {
    /// The invocation that each call reached, or [`NONE`].
    callee: Vec<u32>,
    /// The calls of invocation `i`, in the order of their start: `children[first[i]..first[i + 1]]`.
    first: Vec<u32>,
    children: Vec<u32>,
    /// Calls from outside, in the order of their start. If a root invocation has no recorded call, a call is inferred.
    pub roots: Vec<u32>,
    /// Calls whose caller is missing in the recording. They include inferred calls of invocations without a caller.
    pub orphans: Vec<u32>,
    /// Number of rows with the same ids as an earlier row. Only the first of them can be found by its ids.
    pub duplicates: u64,
}

/// Finds the numbers of rows by a hash of their ids.
struct Ids {
    numbers: FixedMap<u64, u32>,
}

fn hash(id: RootId) -> u64 {
    FixedState::default().hash_one((id.0.0, id.1.0))
}

impl Ids {
    /// Of several rows with the same ids, the first one counts.
    fn new(ids: impl ExactSizeIterator<Item = RootId>) -> Self {
        let mut numbers = FixedMap::with_capacity_and_hasher(ids.len(), FixedState::default());
        for (number, id) in ids.enumerate() {
            numbers.entry(hash(id)).or_insert(number as u32);
        }
        Self { numbers }
    }

    /// The row with these ids. `is_it` checks the ids, because two ids can have the same hash.
    fn find(&self, trace: TraceId, span: SpanId, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let number = self.numbers.get(&hash((trace, span))).copied();
        number.filter(|&number| is_it(number))
    }
}

impl Tree {
    /// Connects the rows. For an invocation without a row of its call, an inferred call is appended to the calls.
    pub fn new(rows: &mut Rows) -> Self {
        let invocations = Ids::new(rows.invocations.iter().map(|row| (row.trace_id, row.span_id)));
        let calls = Ids::new(rows.calls.iter().map(|row| (row.trace_id, row.span_id)));
        let distinct = invocations.numbers.len() + calls.numbers.len();
        let mut tree = Self {
            callee: vec![NONE; rows.calls.len()],
            duplicates: (rows.invocations.len() + rows.calls.len() - distinct) as u64,
            ..Self::default()
        };
        for number in tree.link_named(rows, &calls) {
            let row = rows.invocations[number as usize];
            // A row names its call only if it is the only answer to a request and ended before the call did. Other rows, such
            // as those of messages, have the call as their parent span, and have the same parent invocation as the call.
            let is_call = |call: u32| {
                let call = &rows.calls[call as usize];
                call.trace_id == row.trace_id && call.ancestor == row.parent
            };
            let unnamed = row.parent_span.filter(|_| row.caller.is_none());
            let call = unnamed.and_then(|span| calls.find(row.trace_id, span, is_call));
            match call {
                Some(call) if tree.callee[call as usize] == NONE => tree.callee[call as usize] = number,
                _ => {
                    rows.calls.push(inferred(&row));
                    tree.callee.push(number);
                }
            }
        }
        for (call, &callee) in rows.calls.iter_mut().zip(&tree.callee) {
            if callee != NONE && call.is_root && !call.is_inferred {
                call.clues = call.clues.joined(rows.invocations[callee as usize].clues);
            }
        }
        let mut is_nested = vec![false; rows.calls.len()];
        tree.add_nested(rows, &calls, &mut is_nested);
        let ancestor_of = |call: &Call| {
            let is_it = |number: u32| rows.invocations[number as usize].trace_id == call.trace_id;
            let found = call
                .ancestor
                .and_then(|span| invocations.find(call.trace_id, span, is_it));
            found.unwrap_or(NONE)
        };
        let ancestors: Vec<u32> = rows.calls.iter().map(ancestor_of).collect();
        tree.add_children(rows, &ancestors);
        tree.add_roots(rows, &ancestors, &is_nested);
        tree
    }

    /// Connects the invocations that name their calls, and returns the others.
    fn link_named(&mut self, rows: &Rows, calls: &Ids) -> Vec<u32> {
        let mut others = Vec::new();
        for (number, row) in (0..).zip(&rows.invocations) {
            let is_call = |call: u32| rows.calls[call as usize].trace_id == row.trace_id;
            let call = row
                .caller
                .and_then(|span| calls.find(row.trace_id, span, is_call));
            match call {
                Some(call) if self.callee[call as usize] == NONE => self.callee[call as usize] = number,
                _ => others.push(number),
            }
        }
        others
    }

    /// Counts, then places, then sorts the calls of each invocation.
    fn add_children(&mut self, rows: &Rows, ancestors: &[u32]) {
        let mut first = vec![0_u32; rows.invocations.len() + 1];
        for &ancestor in ancestors.iter().filter(|ancestor| **ancestor != NONE) {
            first[ancestor as usize + 1] += 1;
        }
        for place in 1..first.len() {
            first[place] += first[place - 1];
        }
        let mut next = first.clone();
        self.children = vec![NONE; first.last().copied().unwrap_or(0) as usize];
        for (call, &ancestor) in ancestors.iter().enumerate() {
            if ancestor != NONE {
                let place = &mut next[ancestor as usize];
                self.children[*place as usize] = call as u32;
                *place += 1;
            }
        }
        for range in first.windows(2) {
            let children = &mut self.children[range[0] as usize..range[1] as usize];
            children.sort_by_key(|&call| order(&rows.calls[call as usize]));
        }
        self.first = first;
    }

    /// A root can contain calls, such as the attempts of a logical request. The last attempt that was answered gives the answer
    /// of the root.
    fn add_nested(&mut self, rows: &Rows, calls: &Ids, is_nested: &mut [bool]) {
        /// Maximum depth of calls inside calls. Clients have two or three; the bound also ends cycles.
        const DEPTH_MAX: usize = 8;
        let outer_of = |call: u32| {
            let call = &rows.calls[call as usize];
            let is_it = |number: u32| rows.calls[number as usize].trace_id == call.trace_id;
            calls.find(call.trace_id, call.outer?, is_it)
        };
        let mut answers = Vec::new();
        for number in (0..rows.calls.len() as u32).filter(|&call| rows.calls[call as usize].outer.is_some()) {
            let above = std::iter::successors(Some(number), |&call| outer_of(call));
            let outermost = above.take(DEPTH_MAX).last().unwrap_or(number);
            if !rows.calls[outermost as usize].is_root {
                continue;
            }
            is_nested[number as usize] = true;
            let callee = self.callee[number as usize];
            if callee != NONE && self.callee[outermost as usize] == NONE {
                answers.push((outermost, order(&rows.calls[number as usize]), callee));
            }
        }
        answers.sort_unstable();
        for (outermost, _, callee) in answers {
            self.callee[outermost as usize] = callee;
        }
    }

    fn add_roots(&mut self, rows: &Rows, ancestors: &[u32], is_nested: &[bool]) {
        for (number, call) in rows.calls.iter().enumerate() {
            if call.is_root {
                self.roots.push(number as u32);
            } else if ancestors[number] == NONE && !is_nested[number] {
                self.orphans.push(number as u32);
            }
        }
        self.roots.sort_by_key(|&call| order(&rows.calls[call as usize]));
    }

    /// The invocation that a call reached.
    pub fn callee(&self, call: u32) -> Option<u32> {
        let callee = self.callee[call as usize];
        (callee != NONE).then_some(callee)
    }

    /// The calls of an invocation in the order of their start.
    pub fn children(&self, invocation: u32) -> &[u32] {
        let place = invocation as usize;
        &self.children[self.first[place] as usize..self.first[place + 1] as usize]
    }

    /// Ids of a root: the ids of its call or, if the call was not recorded, of its invocation.
    pub fn root_id(&self, rows: &Rows, root: u32) -> RootId {
        // An inferred call has the ids of its invocation.
        let call = &rows.calls[root as usize];
        (call.trace_id, call.span_id)
    }

    /// Own time of an invocation: its service time without waits for calls and for further slots. [`UNKNOWN`] if the row has no
    /// service time.
    pub fn own_ns(&self, rows: &Rows, invocation: u32) -> i64 {
        let row = &rows.invocations[invocation as usize];
        if row.service_ns == UNKNOWN {
            return UNKNOWN;
        }
        let downstream = match row.downstream_ns {
            UNKNOWN => self.time_of_calls(rows, invocation),
            downstream => downstream,
        };
        let slot_wait = if row.slot_wait_ns == UNKNOWN {
            0
        } else {
            row.slot_wait_ns
        };
        row.service_ns
            .saturating_sub(downstream)
            .saturating_sub(slot_wait)
            .max(0)
    }

    /// The time within an invocation during which at least one of its calls was in progress.
    fn time_of_calls(&self, rows: &Rows, invocation: u32) -> i64 {
        let row = &rows.invocations[invocation as usize];
        let (mut covered, mut until) = (0_i64, row.end_ns.saturating_sub(row.service_ns));
        for &call in self.children(invocation) {
            let call = &rows.calls[call as usize];
            if call.is_message || call.is_inferred {
                continue;
            }
            let (start, end) = (call.start_ns.max(until), call.end_ns.min(row.end_ns));
            covered = covered.saturating_add(end.saturating_sub(start).max(0));
            until = until.max(end);
        }
        covered
    }
}

fn order(call: &Call) -> (i64, SpanId) {
    (call.start_ns, call.span_id)
}

/// The inferred call for an invocation whose call was not recorded.
fn inferred(row: &Invocation) -> Call {
    Call {
        trace_id: row.trace_id,
        span_id: row.span_id,
        ancestor: row.parent,
        is_root: row.is_root,
        parent_span: None,
        outer: None,
        clues: row.clues,
        is_message: false,
        is_inferred: true,
        module: NONE,
        node: NONE,
        peer: row.module,
        endpoint: row.endpoint,
        outcome: Outcome::Silent,
        is_failed: false,
        resends: 0,
        start_ns: row.enqueue_ns,
        end_ns: row.end_ns,
        lateness_ns: UNKNOWN,
        original: NONE,
    }
}
