//! [`calls`]: calls per invocation from each endpoint to each receiver.

use std::collections::{BTreeMap, BTreeSet};

use super::runs::{Unpaired, difference, mean_of};
use crate::model::{Topic, Unit};
use crate::pairing::{Differences, by_route};
use crate::voters::candidate::{Candidate, Figures};

/// Maximum number of pairs of caller and receiver that vote. Each needs 8 bytes for each invocation of its caller.
const EDGES_MAX: usize = 64;

/// Caller module, its endpoint, receiver and its endpoint.
type Edge = (u32, u32, u32, u32);

/// Calls per invocation from each endpoint to each receiver.
pub fn calls(runs: &Unpaired<'_>) -> (Vec<Candidate>, Differences) {
    let mut edges = BTreeSet::new();
    let mut left_out = 0_u64;
    let mut counts: Vec<Counts> = (0..2)
        .map(|place| Counts::new(runs, place, &mut edges, &mut left_out))
        .collect();
    counts.iter_mut().for_each(|counts| counts.fill(&edges));
    let mut found = Vec::new();
    for edge in edges {
        let of = |place: usize| counts[place].calls.get(&edge);
        let (Some(a), Some(b)) = (of(0), of(1)) else {
            continue;
        };
        let [Some(mean_a), mean_b] = [mean_of(a), mean_of(b)] else {
            continue;
        };
        let names = [edge.0, edge.1, edge.2, edge.3].map(|name| runs.names.text(name));
        let figures = Figures {
            topic: Topic::CallGraph,
            module: Some(format!("{} {} to {} {}", names[0], names[1], names[2], names[3])),
            unit: Unit::Number,
            a: Some(mean_a),
            b: mean_b,
            explained: None,
            margin: runs.margins.calls_per_invocation * mean_a,
            requests: a.len().min(b.len()) as u64,
        };
        let is_constant = |values: &[f64]| values.windows(2).all(|pair| pair[0] == pair[1]);
        found.push(match is_constant(a) && is_constant(b) {
            // Every request makes as many calls: no chance is involved.
            true => {
                let difference = mean_b.unwrap_or(0.0) - mean_a;
                Candidate::exact(figures, difference, || {
                    format!(
                        "calls per invocation: {mean_a:.3} in A, {:.3} in B",
                        mean_a + difference
                    )
                })
            }
            false => Candidate::estimated(figures, difference(a, b)),
        });
    }
    let differences = Differences {
        left_out,
        ..Differences::default()
    };
    (found, differences)
}

/// The calls of one run.
struct Counts {
    /// The number of calls of each invocation, by edge.
    calls: BTreeMap<Edge, Vec<f64>>,
    /// Invocations of each endpoint.
    invocations: BTreeMap<(u32, u32), usize>,
}

impl Counts {
    fn new(runs: &Unpaired<'_>, place: usize, edges: &mut BTreeSet<Edge>, left_out: &mut u64) -> Self {
        let side = &runs.sides[place];
        let mut counts = Self {
            calls: BTreeMap::new(),
            invocations: BTreeMap::new(),
        };
        for &number in runs.by_module[place].values().flatten() {
            let row = &side.rows.invocations[number as usize];
            let seen = counts.invocations.entry((row.module, row.endpoint)).or_default();
            for &call in side.tree.children(number) {
                let (receiver, endpoint) = by_route(side, call);
                let edge = (row.module, row.endpoint, receiver, endpoint);
                if edges.len() >= EDGES_MAX && !edges.contains(&edge) {
                    *left_out += 1;
                    continue;
                }
                edges.insert(edge);
                let values = counts.calls.entry(edge).or_default();
                values.resize(*seen + 1, 0.0);
                values[*seen] += 1.0;
            }
            *seen += 1;
        }
        counts
    }

    /// Adds the invocations that did not call a receiver, whichever run has the edge.
    fn fill(&mut self, edges: &BTreeSet<Edge>) {
        for edge in edges {
            if let Some(&number) = self.invocations.get(&(edge.0, edge.1)) {
                self.calls.entry(*edge).or_default().resize(number, 0.0);
            }
        }
    }
}
