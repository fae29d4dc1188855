//! [`Series`]: collects the times of each group in order, for confidence intervals.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::intervals::{Accumulator, Interval, NoInterval, RunLength};

use super::cells::CellGroups;
use super::figures::{LEVEL, QUANTILES, Time};
use super::load::LoadBuckets;

/// Maximum number of groups with intervals in each grouping. The groups that appear first in the files have intervals. If several
/// groups appear first in the same block of a file, the ones with the most calls are chosen. A group has the accumulators of five
/// times, 50 KiB each, so a grouping takes 16 MiB.
pub const GROUPS_MAX: usize = 64;
/// Stands for an unknown time. No row can have this value, because it means 584 years.
pub const UNKNOWN: u64 = u64::MAX;

/// The times of an invocation in nanoseconds, in the order of [`Time::ALL`]; [`UNKNOWN`] if a time is unknown.
pub type TimesNs = [u64; Time::ALL.len()];

/// The intervals of one time of a group, nanoseconds.
#[derive(Debug, Clone)]
pub struct TimeIntervals {
    pub mean: Result<Interval, NoInterval>,
    /// Intervals of quantiles, in the order of [`QUANTILES`].
    pub quantiles: [Result<Interval, NoInterval>; QUANTILES.len()],
}

/// The intervals of all times, in the order of [`Time::ALL`].
pub type Intervals = [TimeIntervals; Time::ALL.len()];

/// The accumulators of one group, and its sums in time intervals.
#[derive(Default)]
struct GroupSeries {
    times: [Accumulator; Time::ALL.len()],
    load: LoadBuckets,
}

/// Accumulators of the groups of all groupings.
#[derive(Default)]
pub struct Series {
    /// The groupings that were requested.
    wanted: Vec<usize>,
    /// The groups of each grouping for which intervals are computed.
    groups: [Vec<GroupSeries>; 3],
    /// For each grouping and each group, the index in `groups`.
    places: [Vec<Option<u32>>; 3],
}

impl Series {
    pub fn new(wanted: Vec<usize>) -> Self {
        Self {
            wanted,
            groups: Default::default(),
            places: Default::default(),
        }
    }

    /// Chooses groups with intervals among the groups that appear in a chunk for the first time. `cells` has the cells of the
    /// chunk with their numbers of calls.
    pub fn admit(&mut self, cells: impl Iterator<Item = (CellGroups, u64)> + Clone) {
        for &grouping in &self.wanted {
            let (places, series) = (&mut self.places[grouping], &mut self.groups[grouping]);
            let mut calls_of: BTreeMap<usize, u64> = BTreeMap::new();
            for (groups, calls) in cells.clone() {
                let group = groups[grouping] as usize;
                if group >= places.len() {
                    *calls_of.entry(group).or_default() += calls;
                }
            }
            let Some((&last, _)) = calls_of.last_key_value() else {
                continue;
            };
            places.resize(last + 1, None);
            let mut ranked: Vec<(usize, u64)> = calls_of.into_iter().collect();
            ranked.sort_by_key(|&(_, calls)| Reverse(calls));
            for (group, _) in ranked.into_iter().take(GROUPS_MAX - series.len()) {
                places[group] = Some(series.len() as u32);
                series.push(GroupSeries::default());
            }
        }
    }

    /// Whether a group was admitted.
    pub fn has(&self, grouping: usize, group: usize) -> bool {
        self.places[grouping].get(group).is_some_and(Option::is_some)
    }

    /// Adds a cell's sums in time intervals to its groups that were admitted.
    pub fn add_load(&mut self, groups: CellGroups, load: &LoadBuckets) {
        for &grouping in &self.wanted {
            if let Some(place) = self.places[grouping][groups[grouping] as usize] {
                self.groups[grouping][place as usize].load.merge(load);
            }
        }
    }

    /// The sums in time intervals; `None` for a group beyond the maximum.
    pub fn load(&self, grouping: usize, group: usize) -> Option<&LoadBuckets> {
        let place = (*self.places[grouping].get(group)?)?;
        Some(&self.groups[grouping][place as usize].load)
    }

    /// Adds an invocation to its groups that were admitted. Invocations come nearly in the order of their arrival.
    #[inline]
    pub fn push(&mut self, groups: CellGroups, times: &TimesNs) {
        for &grouping in &self.wanted {
            if let Some(place) = self.places[grouping][groups[grouping] as usize] {
                push(&mut self.groups[grouping][place as usize].times, times);
            }
        }
    }

    /// `None` for a group beyond the maximum.
    pub fn intervals(&self, grouping: usize, group: usize, length: RunLength) -> Option<Box<Intervals>> {
        let place = (*self.places[grouping].get(group)?)?;
        let series = &self.groups[grouping][place as usize].times;
        Some(Box::new(Time::ALL.map(|time| of_time(series, time, length))))
    }
}

#[inline]
fn push(series: &mut [Accumulator; Time::ALL.len()], times: &TimesNs) {
    for (accumulator, &ns) in series.iter_mut().zip(times) {
        if ns != UNKNOWN {
            accumulator.push(ns as f64);
        }
    }
}

/// The intervals of a link, which has only network times.
pub fn of_network(network: &Accumulator) -> Box<Intervals> {
    let none = Accumulator::new();
    let of = |time| if time == Time::Network { network } else { &none };
    Box::new(Time::ALL.map(|time| all(of(time), RunLength::Unknown)))
}

/// The intervals of one time. Only times that contain waits depend on the length of the run in relaxation times.
fn of_time(series: &[Accumulator; Time::ALL.len()], time: Time, length: RunLength) -> TimeIntervals {
    let length = match time {
        Time::Queue | Time::Response => length,
        Time::Service | Time::Cpu | Time::Network => RunLength::Unknown,
    };
    all(&series[time as usize], length)
}

fn all(accumulator: &Accumulator, length: RunLength) -> TimeIntervals {
    TimeIntervals {
        mean: accumulator.mean_interval(LEVEL, length),
        quantiles: QUANTILES.map(|(_, fraction)| accumulator.quantile_interval(fraction, LEVEL, length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_groups_that_appear_together_those_with_most_calls_have_intervals() {
        let mut series = Series::new(vec![1]);
        let group = |number: u32| [0, number, 0];
        // The first chunk has two groups; the second one has more new ones than fit.
        series.admit([(group(0), 1), (group(1), 1)].into_iter());
        let second = (0..100).map(|number| (group(number), u64::from(number)));
        series.admit(second.clone());
        for number in 0..100 {
            series.push(group(number), &[u64::from(number); Time::ALL.len()]);
        }
        series.admit(second);
        let with_intervals: Vec<usize> = (0..110)
            .filter(|&number| series.intervals(1, number, RunLength::Unknown).is_some())
            .collect();
        let expected: Vec<usize> = [0, 1].into_iter().chain(100 - (GROUPS_MAX - 2)..100).collect();
        assert_eq!(with_intervals, expected);
        assert!(series.intervals(0, 0, RunLength::Unknown).is_none(), "not wanted");
    }
}
