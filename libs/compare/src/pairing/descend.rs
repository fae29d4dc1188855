//! [`pair`]: pairs the invocations and calls below each pair of roots, by descending both trees in parallel.

use super::chance::{is_chance, outcome_of};
use super::children::{is_same_request, match_calls};
use super::roots::RootPairs;
use super::tally::Tally;
use crate::gather::Side;
use crate::model::GraphKind;

/// Maximum depth of a tree. Deeper calls are not compared.
const DEPTH_MAX: u32 = 512;

/// The pairs of two runs. Numbers identify rows of A and of B.
#[derive(Debug, Default)]
pub struct Pairs {
    pub roots: RootPairs,
    /// Pairs of invocations, in the order of their roots.
    pub invocations: Vec<(u32, u32)>,
    /// Root calls and calls of invocations.
    pub calls: Vec<(u32, u32)>,
    pub tally: Tally,
    /// Number of pairs of calls that are too deep to be compared.
    pub too_deep: u64,
}

struct Descent<'s> {
    a: &'s Side,
    b: &'s Side,
    found: Pairs,
}

/// Pairs the invocations and calls of paired roots.
pub fn pair(a: &Side, b: &Side, roots: RootPairs) -> Pairs {
    let mut descent = Descent {
        a,
        b,
        found: Pairs::default(),
    };
    for &(of_a, of_b) in &roots.pairs {
        match is_same_request(a, b, (of_a, of_b)) {
            true => {
                descent.call(of_a, of_b, 0);
            }
            // The roots are different requests, so the rows below them have no counterparts.
            false => descent.found.tally.other_request(a, b, (of_a, of_b)),
        }
    }
    if roots.counts_missing {
        for &root in &roots.only_a {
            descent.only(GraphKind::RootOnlyA, root, false);
        }
        for &root in &roots.only_b {
            descent.only(GraphKind::RootOnlyB, root, false);
        }
    }
    descent.found.roots = roots;
    descent.found
}

impl Descent<'_> {
    /// Pairs two calls and everything that they caused. Returns whether the load of the moment made a difference, because such a
    /// difference also explains the status and the later calls of the caller.
    fn call(&mut self, of_a: u32, of_b: u32, depth: u32) -> bool {
        self.found.calls.push((of_a, of_b));
        let outcomes = [outcome_of(self.a, of_a), outcome_of(self.b, of_b)];
        let [chance_a, chance_b] = outcomes.map(is_chance);
        if chance_a != chance_b {
            self.found
                .tally
                .status(self.a, self.b, (of_a, of_b), outcomes, true);
            return true;
        }
        if depth >= DEPTH_MAX {
            self.found.too_deep += 1;
            return false;
        }
        let mut is_touched = false;
        match (self.a.tree.callee(of_a), self.b.tree.callee(of_b)) {
            (Some(a), Some(b)) => {
                self.found.invocations.push((a, b));
                is_touched = self.children(a, b, depth);
            }
            // Only one of the calls has a recorded invocation. This is chance if both were refused: then one of them got far
            // enough to have a span.
            (Some(_), None) => {
                self.found
                    .tally
                    .answer(self.a, self.b, GraphKind::AnswerOnlyA, (of_a, of_b), chance_a)
            }
            (None, Some(_)) => {
                self.found
                    .tally
                    .answer(self.a, self.b, GraphKind::AnswerOnlyB, (of_a, of_b), chance_a)
            }
            (None, None) => {}
        }
        if outcomes[0] != outcomes[1] {
            let is_by_chance = is_touched || (chance_a && chance_b);
            self.found
                .tally
                .status(self.a, self.b, (of_a, of_b), outcomes, is_by_chance);
        }
        is_touched
    }

    fn children(&mut self, a: u32, b: u32, depth: u32) -> bool {
        let calls = [self.a.tree.children(a), self.b.tree.children(b)];
        let matched = match_calls(self.a, self.b, calls[0], calls[1]);
        let mut is_touched = false;
        for (of_a, of_b) in matched.pairs {
            is_touched |= self.call(of_a, of_b, depth + 1);
        }
        for call in matched.only_a {
            self.only(GraphKind::CallOnlyA, call, is_touched);
        }
        for call in matched.only_b {
            self.only(GraphKind::CallOnlyB, call, is_touched);
        }
        is_touched
    }

    fn only(&mut self, kind: GraphKind, call: u32, is_by_chance: bool) {
        let is_of_a = matches!(kind, GraphKind::RootOnlyA | GraphKind::CallOnlyA);
        let side = if is_of_a { self.a } else { self.b };
        self.found.tally.only(side, kind, call, is_by_chance);
    }
}
