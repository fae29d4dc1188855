//! [`Tally`]: counts differences of call graph and statuses, and keeps examples of each.

use super::chance::{outcome_of, status};
use super::children::{by_route, receiver};
use crate::gather::names::FixedMap;
use crate::gather::{NONE, Names, Outcome, Side};
use crate::model::{EXAMPLES_MAX, Example, GraphDifference, GraphKind};

/// Maximum number of distinct differences. Further differences are counted only.
const DIFFERENCES_MAX: usize = 1_000;

/// A difference and its place. Differences with the same signature are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Signature {
    kind: GraphKind,
    /// The calling module; [`NONE`] for roots.
    caller: u32,
    receiver: u32,
    endpoint: u32,
    /// Receiver and endpoint in B, only for [`GraphKind::OtherRequest`].
    other: Option<(u32, u32)>,
    outcomes: [Outcome; 2],
    is_by_chance: bool,
}

impl Signature {
    /// Whether the difference concerns a request from outside.
    fn is_of_root(&self) -> bool {
        matches!(
            self.kind,
            GraphKind::RootOnlyA | GraphKind::RootOnlyB | GraphKind::OtherRequest
        )
    }

    /// The kind of the same difference if A and B are exchanged.
    fn reversed(self) -> Self {
        let kind = match self.kind {
            GraphKind::OtherRequest => GraphKind::OtherRequest,
            GraphKind::RootOnlyA => GraphKind::RootOnlyB,
            GraphKind::RootOnlyB => GraphKind::RootOnlyA,
            GraphKind::CallOnlyA => GraphKind::CallOnlyB,
            GraphKind::CallOnlyB => GraphKind::CallOnlyA,
            GraphKind::AnswerOnlyA => GraphKind::AnswerOnlyB,
            GraphKind::AnswerOnlyB => GraphKind::AnswerOnlyA,
            GraphKind::Status => GraphKind::Status,
        };
        Self {
            kind,
            outcomes: [self.outcomes[1], self.outcomes[0]],
            ..self
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Count {
    count: u64,
    examples: Vec<Example>,
}

/// Differences of two runs.
#[derive(Debug, Default)]
pub struct Tally {
    counts: FixedMap<Signature, Count>,
    left_out: u64,
    /// Of the differences that were left out, the number that chance does not explain.
    exact_left_out: u64,
}

/// Counts of a difference that occurs in both directions. Which requests have it is random, so only the net number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RandomCounts {
    pub receiver: u32,
    /// Number of requests that have it only in A, and only in B.
    pub of_a: u64,
    pub of_b: u64,
}

/// The differences of a comparison.
#[derive(Debug, Default)]
pub struct Differences {
    /// The most frequent differences first. Exact differences come before differences that can be chance.
    pub list: Vec<GraphDifference>,
    pub left_out: u64,
    /// Number of exact differences in the call graph, and in statuses.
    pub exact_graph: u64,
    pub exact_statuses: u64,
    pub random: Vec<RandomCounts>,
}

impl Tally {
    /// Counts a root or call that only one run has.
    pub fn only(&mut self, side: &Side, kind: GraphKind, call: u32, is_by_chance: bool) {
        let row = &side.rows.calls[call as usize];
        let trace = Some(row.trace_id.to_string());
        let is_of_a = matches!(kind, GraphKind::RootOnlyA | GraphKind::CallOnlyA);
        let outcome = outcome_of(side, call);
        let (outcomes, example) = if is_of_a {
            let example = Example {
                trace_a: trace,
                trace_b: None,
            };
            ([outcome, Outcome::Silent], example)
        } else {
            let example = Example {
                trace_a: None,
                trace_b: trace,
            };
            ([Outcome::Silent, outcome], example)
        };
        let is_root = matches!(kind, GraphKind::RootOnlyA | GraphKind::RootOnlyB);
        let (receiver, endpoint) = by_route(side, call);
        let signature = Signature {
            kind,
            caller: if is_root { NONE } else { row.module },
            receiver,
            endpoint,
            other: None,
            outcomes,
            is_by_chance,
        };
        self.add(signature, example);
    }

    /// Counts a pair of roots with different modules, methods or paths.
    pub fn other_request(&mut self, a: &Side, b: &Side, (of_a, of_b): (u32, u32)) {
        let (receiver, endpoint) = by_route(a, of_a);
        let trace = |side: &Side, call: u32| Some(side.rows.calls[call as usize].trace_id.to_string());
        let signature = Signature {
            kind: GraphKind::OtherRequest,
            caller: NONE,
            receiver,
            endpoint,
            other: Some(by_route(b, of_b)),
            outcomes: [outcome_of(a, of_a), outcome_of(b, of_b)],
            is_by_chance: false,
        };
        let example = Example {
            trace_a: trace(a, of_a),
            trace_b: trace(b, of_b),
        };
        self.add(signature, example);
    }

    /// Counts a pair of calls. Only one of the two reached an invocation.
    pub fn answer(&mut self, a: &Side, b: &Side, kind: GraphKind, pair: (u32, u32), is_by_chance: bool) {
        self.add_pair(kind, a, b, pair, [Outcome::Silent; 2], is_by_chance);
    }

    /// Counts a pair of calls with different results.
    pub fn status(
        &mut self,
        a: &Side,
        b: &Side,
        pair: (u32, u32),
        outcomes: [Outcome; 2],
        is_by_chance: bool,
    ) {
        self.add_pair(GraphKind::Status, a, b, pair, outcomes, is_by_chance);
    }

    fn add_pair(
        &mut self,
        kind: GraphKind,
        a: &Side,
        b: &Side,
        (of_a, of_b): (u32, u32),
        outcomes: [Outcome; 2],
        is_by_chance: bool,
    ) {
        let row = &a.rows.calls[of_a as usize];
        let signature = Signature {
            kind,
            caller: if row.is_root { NONE } else { row.module },
            receiver: receiver(a, of_a),
            endpoint: by_route(a, of_a).1,
            other: None,
            outcomes,
            is_by_chance,
        };
        let example = Example {
            trace_a: Some(row.trace_id.to_string()),
            trace_b: Some(b.rows.calls[of_b as usize].trace_id.to_string()),
        };
        self.add(signature, example);
    }

    fn add(&mut self, signature: Signature, example: Example) {
        if self.counts.len() >= DIFFERENCES_MAX && !self.counts.contains_key(&signature) {
            self.left_out += 1;
            self.exact_left_out += u64::from(!signature.is_by_chance);
            return;
        }
        let count = self.counts.entry(signature).or_default();
        count.count += 1;
        if count.examples.len() < EXAMPLES_MAX {
            count.examples.push(example);
        }
    }

    /// The differences with names instead of numbers. A difference that occurs in both directions counts as random. This does
    /// not apply to requests from outside, because no service decides which of them are sent.
    pub fn finish(&self, names: &Names) -> Differences {
        let mut found = Differences {
            left_out: self.left_out,
            exact_graph: self.exact_left_out,
            ..Differences::default()
        };
        let mut sorted: Vec<(&Signature, &Count)> = self.counts.iter().collect();
        sorted.sort_by_key(|(signature, _)| **signature);
        for (signature, count) in sorted {
            let reversed = signature.reversed();
            let may_be_random = !signature.is_by_chance && !signature.is_of_root();
            let opposite = self.counts.get(&reversed).filter(|_| may_be_random);
            if let Some(opposite) = opposite
                && *signature < reversed
            {
                found.random.push(RandomCounts {
                    receiver: signature.receiver,
                    of_a: count.count,
                    of_b: opposite.count,
                });
            }
            let is_by_chance = signature.is_by_chance || opposite.is_some();
            if !is_by_chance {
                match signature.kind {
                    GraphKind::Status => found.exact_statuses += count.count,
                    _ => found.exact_graph += count.count,
                }
            }
            found.list.push(difference(signature, count, is_by_chance, names));
        }
        let key =
            |difference: &GraphDifference| (difference.is_by_chance, std::cmp::Reverse(difference.count));
        found.list.sort_by_key(key);
        found
    }
}

fn difference(signature: &Signature, count: &Count, is_by_chance: bool, names: &Names) -> GraphDifference {
    GraphDifference {
        kind: signature.kind,
        caller: (signature.caller != NONE).then(|| names.text(signature.caller).to_owned()),
        module: names.text(signature.receiver).to_owned(),
        endpoint: names.text(signature.endpoint).to_owned(),
        module_b: signature
            .other
            .map(|(receiver, _)| names.text(receiver).to_owned()),
        endpoint_b: signature
            .other
            .map(|(_, endpoint)| names.text(endpoint).to_owned()),
        status_a: status(signature.outcomes[0], names),
        status_b: status(signature.outcomes[1], names),
        count: count.count,
        is_by_chance,
        examples: count.examples.clone(),
    }
}
