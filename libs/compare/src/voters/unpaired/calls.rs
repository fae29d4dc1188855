//! [`calls`]: calls per invocation from each endpoint to each receiver.

use std::collections::{BTreeMap, BTreeSet};

use super::runs::Unpaired;
use crate::model::{Topic, Unit};
use crate::pairing::{Differences, by_route};
use crate::statistics::mean::Sums;
use crate::voters::candidate::{Candidate, Figures};

/// Maximum number of pairs of caller and receiver that vote. Nobody reads a longer table.
const EDGES_MAX: usize = 64;
/// Minimum number of requests for an exact vote. With fewer requests, equal numbers of calls may be chance: if none of 59
/// requests differs, then at most 5% of all requests do, at a confidence level of 95%.
const CONSTANT_MIN: usize = 59;

/// Caller module, its endpoint, receiver and its endpoint.
type Edge = (u32, u32, u32, u32);

/// Calls per invocation from each endpoint to each receiver.
pub fn calls(runs: &Unpaired<'_>) -> (Vec<Candidate>, Differences) {
    let mut edges = BTreeSet::new();
    let mut left_out = 0_u64;
    let counts = [0, 1].map(|place| Counts::new(runs, place, &mut edges, &mut left_out));
    let voter = |edge: Edge| Some(candidate(runs, edge, [counts[0].of(edge)?, counts[1].of(edge)?]));
    let found = edges.into_iter().filter_map(voter).collect();
    let differences = Differences {
        left_out,
        ..Differences::default()
    };
    (found, differences)
}

fn candidate(runs: &Unpaired<'_>, edge: Edge, [a, b]: [Sums; 2]) -> Candidate {
    let names = [edge.0, edge.1, edge.2, edge.3].map(|name| runs.names.text(name));
    let (mean_a, mean_b) = (a.mean(), b.mean());
    let figures = Figures {
        topic: Topic::CallGraph,
        module: Some(format!("{} {} to {} {}", names[0], names[1], names[2], names[3])),
        unit: Unit::Number,
        a: Some(mean_a),
        b: Some(mean_b),
        explained: None,
        margin: (runs.margins.calls_per_invocation * mean_a).max(runs.margins.calls_floor),
        requests: a.number().min(b.number()) as u64,
    };
    let is_constant = a.is_constant() && b.is_constant();
    let is_known = mean_a == mean_b || a.number().min(b.number()) >= CONSTANT_MIN;
    if is_constant && is_known {
        // All requests make the same number of calls, so chance plays no part.
        return Candidate::exact(figures, mean_b - mean_a, || {
            format!("calls per invocation: {mean_a:.3} in A, {mean_b:.3} in B")
        });
    }
    let difference = b.estimate().and_then(|b| Ok(b.minus(a.estimate()?)));
    Candidate::estimated(figures, difference)
}

/// The calls of one run.
struct Counts {
    calls: BTreeMap<Edge, Sums>,
    /// Invocations of each endpoint.
    invocations: BTreeMap<(u32, u32), usize>,
}

impl Counts {
    fn new(runs: &Unpaired<'_>, place: usize, edges: &mut BTreeSet<Edge>, left_out: &mut u64) -> Self {
        let side = &runs.sides[place];
        let mut invocations: BTreeMap<(u32, u32), usize> = BTreeMap::new();
        for row in &side.rows.invocations {
            *invocations.entry((row.module, row.endpoint)).or_default() += 1;
        }
        let mut calls: BTreeMap<Edge, Sums> = BTreeMap::new();
        let mut seen: BTreeMap<(u32, u32), usize> = BTreeMap::new();
        let mut of_row: BTreeMap<Edge, u32> = BTreeMap::new();
        for &number in runs.by_module[place].values().flatten() {
            let row = &side.rows.invocations[number as usize];
            let endpoint = (row.module, row.endpoint);
            let seen = seen.entry(endpoint).or_default();
            for &call in side.tree.children(number) {
                let to = by_route(side, call);
                let edge = (row.module, row.endpoint, to.0, to.1);
                if edges.len() >= EDGES_MAX && !edges.contains(&edge) {
                    *left_out += 1;
                    continue;
                }
                edges.insert(edge);
                *of_row.entry(edge).or_default() += 1;
            }
            while let Some((edge, count)) = of_row.pop_first() {
                let sums = calls
                    .entry(edge)
                    .or_insert_with(|| Sums::new(invocations[&endpoint]));
                sums.add(*seen, f64::from(count));
            }
            *seen += 1;
        }
        Self { calls, invocations }
    }

    /// For each invocation of the edge's endpoint, its number of calls to the receiver. `None` without invocations.
    fn of(&self, edge: Edge) -> Option<Sums> {
        let number = *self.invocations.get(&(edge.0, edge.1))?;
        Some(
            self.calls
                .get(&edge)
                .cloned()
                .unwrap_or_else(|| Sums::new(number)),
        )
    }
}
