//! [`Lanes`]: distributes slices that overlap in time over several tracks, so that the slices of each track do not overlap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The lanes of one instance, numbered from 0. Slices must be added in the order of their start.
#[derive(Debug, Clone, Default)]
pub struct Lanes {
    /// For each occupied lane: end of its last slice, and its number.
    busy: BinaryHeap<Reverse<(i64, u32)>>,
    free: BinaryHeap<Reverse<u32>>,
    count: u32,
}

impl Lanes {
    /// Returns the free lane with the lowest number. A lane is free from the end of its last slice on.
    pub fn assign(&mut self, start_ns: i64, end_ns: i64) -> u32 {
        while let Some(&Reverse((busy_until_ns, lane))) = self.busy.peek()
            && busy_until_ns <= start_ns
        {
            self.busy.pop();
            self.free.push(Reverse(lane));
        }
        let lane = match self.free.pop() {
            Some(Reverse(lane)) => lane,
            None => {
                self.count += 1;
                self.count - 1
            }
        };
        self.busy.push(Reverse((end_ns.max(start_ns), lane)));
        lane
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_that_overlap_get_different_lanes_and_the_lowest_free_one() {
        let mut lanes = Lanes::default();
        let slices = [(0, 10), (0, 5), (4, 6), (5, 5), (5, 9), (6, 7), (10, 11)];
        let assigned = slices.map(|(start, end)| lanes.assign(start, end));
        assert_eq!(assigned, [0, 1, 2, 1, 1, 2, 0]);
    }
}
