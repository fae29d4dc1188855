//! [`Clocks`]: estimates the offsets between the nodes' clocks from calls and their answers.
//!
//! A request cannot arrive before it was sent, and its answer cannot arrive before it left. Let `d` be the callee's clock minus
//! the caller's clock. Then each call gives two bounds: answer's end - call's end <= d <= answer's start - call's start. The
//! bounds of all calls give an interval. The estimate is its middle, and the error is at most half its length, if the clocks
//! run at the same rate. It does not matter whether the network is slower in one direction. If the rates of the clocks differ,
//! the greatest lower bound can be above the smallest upper bound. The estimate is then the middle between these two. Its error
//! is half their distance, plus the length of the shortest interval of a single call.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::NodeId;
use crate::model::Offset;
use crate::registry::EntityRegistry;
use crate::rows::row::SpanRow;

/// Maximum number of pairs of nodes. Calls between further pairs are ignored here.
const PAIRS_MAX: usize = 65_536;

/// Bounds of the offset between the clocks of two nodes, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    least: i64,
    most: i64,
    /// Length of the shortest interval that a single call gives.
    best: i64,
    calls: u64,
}

/// Bounds by pair of nodes: the caller's node and the callee's node.
#[derive(Debug, Default)]
pub struct Clocks {
    pub pairs: BTreeMap<(NodeId, NodeId), Bounds>,
    /// Whether calls were ignored because of the maximum number of pairs.
    pub is_full: bool,
}

/// Bounds by pair of node names in both directions, and the name of the reference node.
struct Edges<'r> {
    edges: BTreeMap<(&'r str, &'r str), Bounds>,
    reference: &'r str,
}

impl Clocks {
    /// Adds a call between two nodes and its answer.
    pub fn add(&mut self, call: &SpanRow, answer: &SpanRow) {
        let pair = (call.node, answer.node);
        let this = Bounds {
            least: answer.end.saturating_sub(call.end),
            most: answer.start.saturating_sub(call.start),
            best: call.duration().saturating_sub(answer.duration()),
            calls: 1,
        };
        self.unite(pair, this);
    }

    /// Takes bounds that calls between two nodes give.
    pub fn unite(&mut self, pair: (NodeId, NodeId), more: Bounds) {
        if self.pairs.len() >= PAIRS_MAX && !self.pairs.contains_key(&pair) {
            self.is_full = true;
            return;
        }
        let bounds = self.pairs.entry(pair).or_insert(Bounds { calls: 0, ..more });
        *bounds = bounds.and(more);
    }

    /// The clock offset of each node that calls connect to the reference node. The reference node is the one with the most
    /// calls that it made or answered; of several such nodes, the first by name. Over several hops the errors add up, and the
    /// path with the smallest error is used.
    pub fn offsets(&self, registry: &EntityRegistry) -> BTreeMap<String, Offset> {
        self.edges(registry).map_or_else(BTreeMap::new, Edges::offsets)
    }

    /// The bounds. `None` if there are no calls.
    fn edges<'r>(&self, registry: &'r EntityRegistry) -> Option<Edges<'r>> {
        let mut edges: BTreeMap<(&str, &str), Bounds> = BTreeMap::new();
        let mut calls: BTreeMap<&str, u64> = BTreeMap::new();
        for (&(u, v), &bounds) in &self.pairs {
            let (u, v) = (registry.node_name(u), registry.node_name(v));
            for (pair, bounds) in [((u, v), bounds), ((v, u), bounds.reversed())] {
                edges
                    .entry(pair)
                    .and_modify(|known| *known = known.and(bounds))
                    .or_insert(bounds);
                *calls.entry(pair.0).or_default() += bounds.calls;
            }
        }
        let reference = calls
            .iter()
            .max_by(|left, right| left.1.cmp(right.1).then(right.0.cmp(left.0)));
        let (&reference, _) = reference?;
        Some(Edges { edges, reference })
    }
}

impl Edges<'_> {
    /// Dijkstra's algorithm, with the error as the distance.
    fn offsets(self) -> BTreeMap<String, Offset> {
        let mut settled: BTreeMap<String, Offset> = BTreeMap::new();
        let mut open: BTreeMap<&str, Offset> = BTreeMap::new();
        open.insert(self.reference, Offset { ns: 0, error_ns: 0 });
        while let Some(node) = open
            .iter()
            .min_by_key(|(_, offset)| offset.error_ns)
            .map(|(&node, _)| node)
        {
            let Some(offset) = open.remove(node) else { break };
            let from_node = self.edges.range((node, "")..);
            for ((_, to), bounds) in from_node.take_while(|((from, _), _)| *from == node) {
                let (ns, error) = bounds.estimate();
                let further = Offset {
                    ns: offset.ns.saturating_add(ns),
                    error_ns: offset.error_ns.saturating_add(error),
                };
                let is_better = open.get(to).is_none_or(|known| further.error_ns < known.error_ns);
                if !settled.contains_key(*to) && *to != node && is_better {
                    open.insert(to, further);
                }
            }
            settled.insert(node.to_owned(), offset);
        }
        settled
    }
}

impl Bounds {
    fn and(self, other: Self) -> Self {
        Self {
            least: self.least.max(other.least),
            most: self.most.min(other.most),
            best: self.best.min(other.best),
            calls: self.calls + other.calls,
        }
    }

    /// The bounds in the other direction: caller's clock minus callee's clock.
    fn reversed(self) -> Self {
        Self {
            least: self.most.saturating_neg(),
            most: self.least.saturating_neg(),
            ..self
        }
    }

    /// The estimated offset and the maximum of its error.
    fn estimate(self) -> (i64, i64) {
        let (least, most) = (i128::from(self.least), i128::from(self.most));
        let middle = (least + most).div_euclid(2);
        let half = if least <= most {
            (most - least + 1).div_euclid(2)
        } else {
            (least - most + 1).div_euclid(2) + i128::from(self.best.max(0))
        };
        let fit = |ns: i128| i64::try_from(ns).unwrap_or(i64::MAX);
        (fit(middle), fit(half))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cctf_proto::cctf::Stage;
    use proptest::prelude::*;

    /// Bounds from a call that starts at time 0 of the caller's clock. The callee's clock is ahead by `offset`.
    fn bounds(offset: i64, there: i64, work: i64, back: i64) -> Bounds {
        let (arrived, left) = (there + offset, there + work + offset);
        Bounds {
            least: left - (there + work + back),
            most: arrived,
            best: there + back,
            calls: 1,
        }
    }

    proptest! {
        #[test]
        fn the_true_offset_is_within_the_error_however_asymmetric_the_path(
            offset in -4_000_000_000_i64..4_000_000_000,
            calls in prop::collection::vec((0_i64..50_000_000, 0_i64..9_000_000, 0_i64..50_000_000), 1..50),
        ) {
            let all = calls.iter().map(|&(there, work, back)| bounds(offset, there, work, back)).reduce(Bounds::and).unwrap();
            for (bounds, offset) in [(all, offset), (all.reversed(), -offset)] {
                let (found, error) = bounds.estimate();
                prop_assert!((found - offset).abs() <= error, "{} ± {}, truly {}", found, error, offset);
            }
        }
    }

    #[test]
    fn a_drifting_clock_is_within_the_error_at_any_call() {
        let offsets: Vec<i64> = (0..100).map(|second| second * 50_000).collect();
        let all = offsets
            .iter()
            .map(|&offset| bounds(offset, 100_000, 5, 100_000))
            .reduce(Bounds::and)
            .unwrap();
        assert!(all.least > all.most);
        let (found, error) = all.estimate();
        for offset in offsets {
            assert!(
                (found - offset).abs() <= error,
                "{found} ± {error}, at one time {offset}"
            );
        }
    }

    #[test]
    fn offsets_add_up_along_calls_and_unconnected_nodes_have_none() {
        let mut registry = EntityRegistry::default();
        for name in ["\"a\"", "\"b\"", "\"c\"", "\"x\"", "\"y\""] {
            registry.node(name.as_bytes(), Stage::Unknown).unwrap();
        }
        let pair = |u, v| (NodeId(u), NodeId(v));
        let clocks = Clocks {
            pairs: BTreeMap::from([
                (pair(0, 1), bounds(3_000_000, 10, 5, 10)),
                (pair(1, 2), bounds(-1_000_000, 20, 5, 20)),
                (pair(3, 4), bounds(7, 1, 1, 1)),
            ]),
            is_full: false,
        };
        let offsets = clocks.offsets(&registry);
        let found: Vec<(&str, i64, i64)> = offsets
            .iter()
            .map(|(name, offset)| (name.as_str(), offset.ns, offset.error_ns))
            .collect();
        assert_eq!(found, [("a", -3_000_000, 10), ("b", 0, 0), ("c", -1_000_000, 20)]);
    }
}
