//! [`Orders`]: checks that the calls of an invocation follow each other or overlap as in the recording.

use std::collections::HashMap;

use anyhow::Context;

use super::traces::{Call, Invocation, Trace, Traces};
use crate::finding::Finding;

/// A call still counts as following another one if it starts up to this time before the other one's end, because a span ends a
/// little after its program has the answer.
const TOLERANCE_MS: f64 = 0.05;

/// Minimum percentage of pairs with the recorded relation. It is below 100, because a plan does not depend on statuses: the
/// plan of a retry after 503 waits for any of the parallel attempts, which is not the recorded order in all requests.
const ORDER_MIN: f64 = 99.9;
const OVERLAP_MIN: f64 = 98.0;
const VARYING_MIN: f64 = 95.0;

/// How two calls of an invocation are related.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    First,
    Second,
    Overlap,
}

/// Identifies a pair of calls in all invocations with the same endpoint and calls: the endpoint, and both calls with their
/// numbers among equal calls.
type Pair = (String, Numbered, Numbered);
type Numbered = (String, usize);

/// Relations of pairs of calls, in the recording and in its repetition.
#[derive(Default)]
pub struct Orders(HashMap<Pair, Vec<(Relation, Relation)>>);

impl Orders {
    /// Compares all invocations of a recording with their repetitions.
    pub fn compare(recorded: &Traces, repeated: &Traces) -> anyhow::Result<Self> {
        let mut orders = Self::default();
        for (id, recorded) in &recorded.0 {
            let repeated = repeated.0.get(id);
            let repeated = repeated.with_context(|| format!("trace {id} was not repeated"))?;
            orders
                .invocation((recorded, recorded.root), (repeated, repeated.root))
                .with_context(|| format!("trace {id}"))?;
        }
        Ok(orders)
    }

    fn invocation(&mut self, recorded: (&Trace, usize), repeated: (&Trace, usize)) -> anyhow::Result<()> {
        let [one, other] = [recorded, repeated].map(|(trace, index)| &trace.invocations[index]);
        let calls = numbered(one);
        let mut repetitions: HashMap<Numbered, &Call> = numbered(other).into_iter().collect();
        let mut pairs = Vec::new();
        for (name, call) in calls {
            let repetition = repetitions.remove(&name);
            let repetition = repetition.with_context(|| format!("{name:?} was not repeated"))?;
            if let Some((callee, again)) = call.callee.zip(repetition.callee) {
                self.invocation((recorded.0, callee), (repeated.0, again))?;
            }
            pairs.push((name, call, repetition));
        }
        for (index, (first, call, repetition)) in pairs.iter().enumerate() {
            for (second, other_call, other_repetition) in &pairs[index + 1..] {
                let pair = (
                    format!("{} {}", one.module, one.endpoint),
                    first.clone(),
                    second.clone(),
                );
                let relations = (
                    Relation::of(call, other_call),
                    Relation::of(repetition, other_repetition),
                );
                self.0.entry(pair).or_default().push(relations);
            }
        }
        Ok(())
    }

    /// Findings about relations that are the same in all requests, and about those that differ between requests.
    pub fn findings(&self) -> Vec<Finding> {
        let [mut fixed, mut overlapping, mut varying] = [Kept::default(); 3];
        for relations in self.0.values() {
            let first = relations[0].0;
            let is_fixed =
                first != Relation::Overlap && relations.iter().all(|(recorded, _)| *recorded == first);
            for (recorded, repeated) in relations {
                let kept = match recorded {
                    _ if is_fixed => &mut fixed,
                    Relation::Overlap => &mut overlapping,
                    Relation::First | Relation::Second => &mut varying,
                };
                kept.all += 1;
                kept.kept += usize::from(recorded == repeated);
            }
        }
        let [of_fixed, of_overlapping, of_varying] = [fixed, overlapping, varying].map(|kept| kept.all);
        vec![
            fixed.finding(
                &format!("{of_fixed} pairs of calls in the same order in all requests: in this order"),
                ORDER_MIN,
            ),
            overlapping.finding(
                &format!("{of_overlapping} pairs of calls that overlap: overlap"),
                OVERLAP_MIN,
            ),
            varying.finding(
                &format!("{of_varying} pairs of calls in an order that varies: in this order"),
                VARYING_MIN,
            ),
        ]
    }
}

/// Number of pairs of calls, and number of those with the recorded relation.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    all: usize,
    kept: usize,
}

impl Kept {
    fn finding(self, what: &str, least: f64) -> Finding {
        let share = 100.0 * self.kept as f64 / self.all as f64;
        Finding::between(what, share, (least, 100.0), "%")
    }
}

impl Relation {
    fn of(one: &Call, other: &Call) -> Self {
        if one.end_ms <= other.start_ms + TOLERANCE_MS {
            Self::First
        } else if other.end_ms <= one.start_ms + TOLERANCE_MS {
            Self::Second
        } else {
            Self::Overlap
        }
    }
}

/// The calls of an invocation, each with its number among equal calls.
fn numbered(invocation: &Invocation) -> Vec<(Numbered, &Call)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let numbered = invocation.calls.iter().map(|call| {
        let count = counts.entry(&call.what).or_default();
        *count += 1;
        ((call.what.clone(), *count), call)
    });
    numbered.collect()
}
