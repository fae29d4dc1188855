//! [`Arrivals`]: the times between the arrivals of each group. Rows are only nearly in the order of time, so arrivals are
//! sorted first.

use std::collections::VecDeque;

use crate::intervals::{Interval, NoInterval, Variation};

use super::figures::LEVEL;

/// Maximum number of arrivals that wait for earlier ones: 12 MiB. A row is written when its caller is known, so it may come
/// this many rows late.
const WAITING_MAX: usize = 1 << 20;
/// New arrivals are sorted as soon as there are more than [`WAITING_MAX`] divided by this number. A small part needs little
/// memory for sorting.
const FRESH_SHARE: usize = 16;

/// A waiting arrival. It has only 12 bytes, because a report keeps millions of them within its memory limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C, packed(4))]
struct Waiting {
    /// Nanoseconds.
    arrival: i64,
    cell: u32,
}

/// Sums over the times between the arrivals of one group, nanoseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gaps {
    /// `None` for a group without confidence intervals.
    variation: Option<Box<Variation>>,
    last: Option<i64>,
    count: u64,
    sum: u128,
    squares: u128,
}

impl Gaps {
    fn new(has_intervals: bool) -> Self {
        Self {
            variation: has_intervals.then(Box::default),
            ..Self::default()
        }
    }

    /// Adds an arrival. It must not be earlier than the previous one.
    #[inline]
    fn add(&mut self, arrival: i64) {
        if let Some(last) = self.last {
            let gap = arrival.abs_diff(last);
            self.count += 1;
            self.sum += u128::from(gap);
            self.squares = self.squares.saturating_add(u128::from(gap) * u128::from(gap));
            if let Some(variation) = &mut self.variation {
                variation.push(gap as f64);
            }
        }
        self.last = Some(arrival);
    }

    /// Coefficient of variation: standard deviation divided by mean. `None` if there are fewer than two times, or if all are
    /// zero.
    pub fn cv(&self) -> Option<f64> {
        let (count, sum, squares) = (self.count as f64, self.sum as f64, self.squares as f64);
        (self.count > 1 && self.sum > 0).then(|| (count * squares - sum * sum).max(0.0).sqrt() / sum)
    }

    /// The confidence interval of [`Self::cv`].
    pub fn interval(&self) -> Option<Result<Interval, NoInterval>> {
        self.variation.as_ref().map(|variation| variation.interval(LEVEL))
    }
}

/// Sorts arrivals, and passes each to the groups that its cell belongs to.
pub struct Arrivals {
    /// Sorted.
    waiting: VecDeque<Waiting>,
    /// Arrivals since the last sort.
    fresh: Vec<Waiting>,
    waiting_max: usize,
    /// The last arrival that was passed on.
    passed: i64,
    /// Number of arrivals that were left out, because they came after a later one had been passed on.
    pub left_out: u64,
    /// By grouping, and group in it.
    gaps: Vec<Vec<Gaps>>,
}

impl Arrivals {
    /// `groupings` is the number of groupings.
    pub fn new(groupings: usize) -> Self {
        Self::with_bound(groupings, WAITING_MAX)
    }

    fn with_bound(groupings: usize, waiting_max: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            fresh: Vec::new(),
            waiting_max,
            passed: i64::MIN,
            left_out: 0,
            gaps: vec![Vec::new(); groupings],
        }
    }

    /// Adds arrivals. `groups_of` returns the groups of a cell, one for each grouping. `has_intervals` states whether a group
    /// gets a confidence interval; this is decided when its first arrival is added.
    pub fn extend<const N: usize>(
        &mut self,
        arrivals: impl Iterator<Item = (i64, u32)>,
        groups_of: impl Fn(u32) -> [u32; N],
        has_intervals: impl Fn(usize, usize) -> bool,
    ) {
        let fresh = arrivals.map(|(arrival, cell)| Waiting { arrival, cell });
        self.fresh.extend(fresh);
        if self.fresh.len() > self.waiting_max / FRESH_SHARE {
            self.sort_in();
            let passed = self.waiting.len().saturating_sub(self.waiting_max);
            self.pass(passed, groups_of, has_intervals);
        }
    }

    /// Returns the sums of each group in each grouping, after the last arrival.
    pub fn finish<const N: usize>(
        &mut self,
        groups_of: impl Fn(u32) -> [u32; N],
        has_intervals: impl Fn(usize, usize) -> bool,
    ) -> Vec<Vec<Gaps>> {
        self.sort_in();
        self.pass(self.waiting.len(), groups_of, has_intervals);
        std::mem::take(&mut self.gaps)
    }

    /// Moves the new arrivals to their sorted positions. Most are later than all others, so few have to move.
    fn sort_in(&mut self) {
        if self.waiting.capacity() == 0 {
            // Reserves exact space, because a ring buffer that grows by doubling would use twice the memory.
            self.waiting
                .reserve_exact(self.waiting_max + self.waiting_max / 8);
        }
        self.fresh.sort();
        let mut sorted = self.waiting.len();
        self.waiting.extend(self.fresh.iter().copied());
        let mut place = self.waiting.len();
        while let Some(&last) = self.fresh.last() {
            place -= 1;
            if sorted > 0 && self.waiting[sorted - 1] > last {
                sorted -= 1;
                self.waiting[place] = self.waiting[sorted];
            } else {
                self.waiting[place] = last;
                self.fresh.pop();
            }
        }
    }

    fn pass<const N: usize>(
        &mut self,
        count: usize,
        groups_of: impl Fn(u32) -> [u32; N],
        has_intervals: impl Fn(usize, usize) -> bool,
    ) {
        for Waiting { arrival, cell } in self.waiting.drain(..count) {
            if arrival < self.passed {
                self.left_out += 1;
                continue;
            }
            self.passed = arrival;
            let groupings = self.gaps.iter_mut().zip(groups_of(cell)).enumerate();
            for (grouping, (groups, group)) in groupings {
                let group = group as usize;
                while groups.len() <= group {
                    groups.push(Gaps::new(has_intervals(grouping, groups.len())));
                }
                groups[group].add(arrival);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cv_of(arrivals: &[i64]) -> Option<f64> {
        let gaps: Vec<f64> = arrivals
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as f64)
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        (gaps.len() > 1 && mean > 0.0).then(|| variance.sqrt() / mean)
    }

    proptest! {
        #[test]
        fn the_order_of_rows_does_not_matter_within_the_bound(
            mut arrivals in prop::collection::vec((0..1_000_000_i64, 0..3_u32), 0..200),
            late in 1..=30_usize,
        ) {
            let mut found = Arrivals::with_bound(1, 30);
            arrivals.sort_unstable();
            for block in arrivals.chunks(late) {
                // The first arrival of each block is later than all others.
                let rows = block[1..].iter().rev().chain(&block[..1]);
                for one in rows {
                    found.extend([*one].into_iter(), |cell| [cell], |_, _| true);
                }
            }
            let gaps = found.finish(|cell| [cell], |_, _| true);
            prop_assert_eq!(found.left_out, 0);
            for (group, gaps) in gaps[0].iter().enumerate() {
                let of_group = |(_, cell): &&(i64, u32)| *cell as usize == group;
                let times: Vec<i64> = arrivals.iter().filter(of_group).map(|(arrival, _)| *arrival).collect();
                match (gaps.cv(), cv_of(&times)) {
                    (Some(found), Some(wanted)) => prop_assert!((found - wanted).abs() < 1e-6, "{found} {wanted}"),
                    (found, wanted) => prop_assert_eq!(found, wanted),
                }
            }
        }
    }

    #[test]
    fn an_arrival_that_is_too_late_is_left_out_and_counted() {
        let mut arrivals = Arrivals::with_bound(1, 2);
        arrivals.extend(
            [10, 20, 30, 40, 5, 50].map(|at| (at, 0)).into_iter(),
            |_| [0],
            |_, _| false,
        );
        arrivals.extend([(1, 0)].into_iter(), |_| [0], |_, _| false);
        let gaps = arrivals.finish(|_| [0], |_, _| false);
        assert_eq!(arrivals.left_out, 1);
        assert_eq!(gaps[0][0].count, 5);
    }
}
