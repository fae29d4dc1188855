//! [`Gaps`]: the gaps of an invocation that last now, by the time at which they are over.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::node::Node;

/// The time at which a gap is over, and the call that starts then, or the answer.
type Gap = Reverse<(u64, usize)>;

/// Gaps in progress. Nodes are identified by their indices.
#[derive(Debug, Default)]
pub struct Gaps {
    /// Those that need CPU time.
    burning: BinaryHeap<Gap>,
    /// Those whose CPU time is used.
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

    /// The shortest time of a gap without its CPU time, or 0 without gaps.
    pub fn slack_ns(&self, nodes: &[Node]) -> u64 {
        let gaps = self.burning.iter().chain(&self.passing);
        let slack = gaps.map(|Reverse((_, index))| nodes[*index].gap_ns.saturating_sub(nodes[*index].cpu_ns));
        slack.min().unwrap_or(0)
    }

    /// The gap for which CPU time is used now.
    pub fn burning(&self) -> Option<usize> {
        self.burning.peek().map(|Reverse((_, index))| *index)
    }

    /// That gap has its CPU time.
    pub fn burnt(&mut self) {
        self.passing.extend(self.burning.pop());
    }

    /// No gap needs CPU time any more. Returns those that did.
    pub fn stop_burning(&mut self) -> Vec<usize> {
        let stopped = self.burning.iter().map(|Reverse((_, index))| *index).collect();
        self.passing.append(&mut self.burning);
        stopped
    }

    /// The time at which the first gap without need of CPU time is over.
    pub fn next_end_ns(&self) -> Option<u64> {
        self.passing.peek().map(|Reverse((end_ns, _))| *end_ns)
    }

    /// The first gap that is over, and when it was.
    pub fn take_ended(&mut self, now_ns: u64) -> Option<(u64, usize)> {
        self.next_end_ns().filter(|end_ns| *end_ns <= now_ns)?;
        self.passing.pop().map(|Reverse(gap)| gap)
    }

    /// All gaps begin at this time, unless they began later.
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

    /// Gaps that need CPU time last longer by a wait for a CPU, as far as the wait can be in them.
    pub fn delay(&mut self, wait_ns: u64, now_ns: u64, nodes: &[Node]) {
        let gaps = std::mem::take(&mut self.burning).into_iter();
        let delayed = gaps.map(|Reverse((end_ns, index))| {
            let in_gap_ns = now_ns.saturating_sub(nodes[index].base_ns);
            Reverse((end_ns.saturating_add(wait_ns.min(in_gap_ns)), index))
        });
        self.burning = delayed.collect();
    }
}
