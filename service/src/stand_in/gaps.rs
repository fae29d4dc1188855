//! [`Gaps`]: the gaps of an invocation that are in progress, sorted by the time at which they end. A gap is the own time before
//! a call or the answer.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::node::Node;

/// The time at which a gap ends, and the node (a call or the answer) that starts then.
type Gap = Reverse<(u64, usize)>;

/// The gaps in progress. Nodes are identified by their indices.
#[derive(Debug, Default)]
pub struct Gaps {
    /// Gaps that still need CPU time.
    burning: BinaryHeap<Gap>,
    /// Gaps whose CPU time has been used; only time must pass.
    passing: BinaryHeap<Gap>,
}

impl Gaps {
    pub fn is_empty(&self) -> bool {
        self.burning.is_empty() && self.passing.is_empty()
    }

    /// Whether a gap still needs CPU time.
    pub fn is_burning(&self) -> bool {
        !self.burning.is_empty()
    }

    pub fn begin(&mut self, index: usize, node: &Node, needs_cpu: bool) {
        let gaps = if needs_cpu {
            &mut self.burning
        } else {
            &mut self.passing
        };
        gaps.push(Reverse((node.gap_end_ns(), index)));
    }

    /// Time of a gap minus its CPU time: the minimum of all gaps in progress; 0 without gaps.
    pub fn slack_ns(&self, nodes: &[Node]) -> u64 {
        let gaps = self.burning.iter().chain(&self.passing);
        let slack = gaps.map(|Reverse((_, index))| nodes[*index].gap_ns.saturating_sub(nodes[*index].cpu_ns));
        slack.min().unwrap_or(0)
    }

    /// The node whose gap uses CPU time now.
    pub fn burning(&self) -> Option<usize> {
        self.burning.peek().map(|Reverse((_, index))| *index)
    }

    /// Records that the current gap has used its CPU time.
    pub fn burnt(&mut self) {
        self.passing.extend(self.burning.pop());
    }

    /// Stops using CPU time in gaps. Returns the nodes whose gaps still needed some.
    pub fn stop_burning(&mut self) -> Vec<usize> {
        let stopped = self.burning.iter().map(|Reverse((_, index))| *index).collect();
        self.passing.append(&mut self.burning);
        stopped
    }

    /// The time at which the first gap ends that needs no more CPU time.
    pub fn next_end_ns(&self) -> Option<u64> {
        self.passing.peek().map(|Reverse((end_ns, _))| *end_ns)
    }

    /// Removes the first gap that has ended. Returns its end and its node.
    pub fn take_ended(&mut self, now_ns: u64) -> Option<(u64, usize)> {
        self.next_end_ns().filter(|end_ns| *end_ns <= now_ns)?;
        self.passing.pop().map(|Reverse(gap)| gap)
    }

    /// Moves the start of each gap to `since_ns`, unless the gap began later.
    pub fn begin_at(&mut self, since_ns: u64, nodes: &mut [Node]) {
        for gaps in [&mut self.burning, &mut self.passing] {
            let begun = std::mem::take(gaps).into_iter().map(|Reverse((_, index))| {
                let node = &mut nodes[index];
                node.base_ns = node.base_ns.max(since_ns);
                Reverse((node.gap_end_ns(), index))
            });
            *gaps = begun.collect();
        }
    }

    /// Extends gaps that need CPU time by a wait for a CPU, as far as the wait can have happened within them.
    pub fn delay(&mut self, wait_ns: u64, now_ns: u64, nodes: &[Node]) {
        let gaps = std::mem::take(&mut self.burning).into_iter();
        let delayed = gaps.map(|Reverse((end_ns, index))| {
            let in_gap_ns = now_ns.saturating_sub(nodes[index].base_ns);
            Reverse((end_ns.saturating_add(wait_ns.min(in_gap_ns)), index))
        });
        self.burning = delayed.collect();
    }
}
