//! [`Clocks`]: how far the nodes' clocks are from each other, as calls and their answers bound it.
//!
//! A request cannot arrive before it was sent, nor its answer before it left. With `d` the callee's clock minus the caller's,
//! each call says: answer's end - call's end <= d <= answer's start - call's start. All calls together leave a stretch, whose
//! middle is the estimate and half of whose length bounds the error, while the clocks run equally fast. No asymmetry of the
//! path enters. Where they drift, no `d` may fit all calls; then the stretch is turned round and widened by the best call's own.

use std::collections::BTreeMap;

use super::directory::Directory;
use super::rows::SpanRow;

/// Pairs of nodes kept; calls of further ones say nothing of clocks.
const PAIRS_MAX: usize = 65_536;

/// What the calls from one node to another say, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    least: i64,
    most: i64,
    /// The shortest stretch that one call alone leaves.
    best: i64,
    calls: u64,
}

/// What is known of one node's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offset {
    /// It minus the reference's, nanoseconds.
    pub ns: i64,
    /// Bound of the error, nanoseconds.
    pub error_ns: i64,
}

/// Bounds by pair of nodes.
#[derive(Debug, Default)]
pub struct Clocks {
    pairs: BTreeMap<(u32, u32), Bounds>,
}

impl Clocks {
    /// Takes a call between two nodes and its answer.
    pub fn add(&mut self, pair: (u32, u32), call: &SpanRow, answer: &SpanRow) {
        let this = Bounds {
            least: answer.end.saturating_sub(call.end),
            most: answer.start.saturating_sub(call.start),
            best: call.duration().saturating_sub(answer.duration()),
            calls: 1,
        };
        if self.pairs.len() >= PAIRS_MAX && !self.pairs.contains_key(&pair) {
            return;
        }
        let bounds = self.pairs.entry(pair).or_insert(Bounds { calls: 0, ..this });
        *bounds = bounds.and(this);
    }

    /// The offset of each node that calls connect to the reference: the node that made and answered most calls, of several
    /// the first by name. Over several hops errors add up; the way with the least error is taken.
    pub fn offsets(&self, directory: &Directory) -> BTreeMap<String, Offset> {
        let name = |node: u32| directory.nodes[node as usize].name.as_str();
        let mut edges: BTreeMap<(&str, &str), Bounds> = BTreeMap::new();
        let mut calls: BTreeMap<&str, u64> = BTreeMap::new();
        for (&(u, v), &bounds) in &self.pairs {
            let (u, v) = (name(u), name(v));
            for (pair, bounds) in [((u, v), bounds), ((v, u), bounds.turned())] {
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
        let Some((&reference, _)) = reference else {
            return BTreeMap::new();
        };
        let mut settled: BTreeMap<String, Offset> = BTreeMap::new();
        let mut open: BTreeMap<&str, Offset> = BTreeMap::new();
        open.insert(reference, Offset { ns: 0, error_ns: 0 });
        // Dijkstra's: the node whose error is least is settled next.
        while let Some(node) = open
            .iter()
            .min_by_key(|(_, offset)| offset.error_ns)
            .map(|(&node, _)| node)
        {
            let Some(offset) = open.remove(node) else { break };
            for ((_, to), bounds) in edges
                .range((node, "")..)
                .take_while(|((from, _), _)| *from == node)
            {
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

    /// The same, seen from the other node.
    fn turned(self) -> Self {
        Self {
            least: self.most.saturating_neg(),
            most: self.least.saturating_neg(),
            ..self
        }
    }

    /// The difference and the bound of its error.
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

    fn bounds(offset: i64, there: i64, work: i64, back: i64) -> Bounds {
        // The call begins at 0 of the caller's clock; the answer's stamps are those of a clock that is ahead by `offset`.
        let (arrived, left) = (there + offset, there + work + offset);
        Bounds {
            least: left - (there + work + back),
            most: arrived,
            best: there + back,
            calls: 1,
        }
    }

    proptest! {
        /// A path that is slow one way must not move the estimate out of its bound.
        #[test]
        fn the_true_offset_is_within_the_error_however_uneven_the_paths(
            offset in -4_000_000_000_i64..4_000_000_000,
            calls in prop::collection::vec((0_i64..50_000_000, 0_i64..9_000_000, 0_i64..50_000_000), 1..50),
        ) {
            let all = calls.iter().map(|&(there, work, back)| bounds(offset, there, work, back)).reduce(Bounds::and).unwrap();
            for (bounds, offset) in [(all, offset), (all.turned(), -offset)] {
                let (found, error) = bounds.estimate();
                prop_assert!((found - offset).abs() <= error, "{} ± {}, truly {}", found, error, offset);
            }
        }
    }

    #[test]
    fn a_clock_that_drifts_is_within_the_error_at_any_call() {
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
    fn offsets_add_up_along_the_calls_and_a_node_apart_has_none() {
        let mut directory = Directory::default();
        for name in ["\"a\"", "\"b\"", "\"c\"", "\"x\"", "\"y\""] {
            directory.node(name.as_bytes(), Stage::Unknown).unwrap();
        }
        let clocks = Clocks {
            pairs: BTreeMap::from([
                ((0, 1), bounds(3_000_000, 10, 5, 10)),
                ((1, 2), bounds(-1_000_000, 20, 5, 20)),
                ((3, 4), bounds(7, 1, 1, 1)),
            ]),
        };
        let offsets = clocks.offsets(&directory);
        let found: Vec<(&str, i64, i64)> = offsets
            .iter()
            .map(|(name, offset)| (name.as_str(), offset.ns, offset.error_ns))
            .collect();
        assert_eq!(found, [("a", -3_000_000, 10), ("b", 0, 0), ("c", -1_000_000, 20)]);
    }
}
