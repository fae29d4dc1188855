//! [`Series`]: the times of each group in their order, for confidence intervals.

use crate::intervals::{Accumulator, Interval, NoInterval, RunLength};

use super::cells::CellGroups;
use super::figures::{QUANTILES, Time};

/// Share of all runs like this one whose interval covers the truth.
pub const LEVEL: f64 = 0.95;
/// Maximum number of groups of a grouping that have intervals: the first in the files. With five times of 50 KiB each, a grouping
/// takes 16 MiB.
pub const GROUPS_MAX: usize = 64;
/// Stands for an unknown time, which no row can have: 64 bits of nanoseconds are 584 years.
pub const UNKNOWN: u64 = u64::MAX;

/// Times of an invocation in the order of [`Time::ALL`], nanoseconds or [`UNKNOWN`].
pub type TimesNs = [u64; Time::ALL.len()];

/// The intervals of one time of a group, nanoseconds.
#[derive(Debug, Clone)]
pub struct TimeIntervals {
    pub mean: Result<Interval, NoInterval>,
    /// In the order of [`QUANTILES`].
    pub quantiles: [Result<Interval, NoInterval>; QUANTILES.len()],
}

/// The intervals of all times, in the order of [`Time::ALL`].
pub type Intervals = [TimeIntervals; Time::ALL.len()];

/// Accumulators of one group.
type GroupSeries = Box<[Accumulator; Time::ALL.len()]>;

/// Accumulators of the groups of all groupings.
#[derive(Default)]
pub struct Series {
    /// Groupings that are wanted.
    wanted: Vec<usize>,
    /// By grouping and group.
    groups: [Vec<GroupSeries>; 3],
}

impl Series {
    pub fn new(wanted: Vec<usize>) -> Self {
        Self {
            wanted,
            groups: Default::default(),
        }
    }

    /// Adds an invocation. Invocations come nearly in the order of their arrival.
    #[inline]
    pub fn push(&mut self, groups: CellGroups, times: &TimesNs) {
        for &grouping in &self.wanted {
            let group = groups[grouping] as usize;
            if group >= GROUPS_MAX {
                continue;
            }
            let series = &mut self.groups[grouping];
            while series.len() <= group {
                series.push(Box::default());
            }
            push(&mut series[group], times);
        }
    }

    /// `None` for a group beyond the maximum.
    pub fn intervals(&self, grouping: usize, group: usize, length: RunLength) -> Option<Box<Intervals>> {
        let series = self.groups[grouping].get(group)?;
        Some(Box::new(Time::ALL.map(|time| of_time(series, time, length))))
    }
}

#[inline]
fn push(series: &mut GroupSeries, times: &TimesNs) {
    for (accumulator, &ns) in series.iter_mut().zip(times) {
        if ns != UNKNOWN {
            accumulator.push(ns as f64);
        }
    }
}

/// The intervals of a link, which has network times only.
pub fn of_network(network: &Accumulator) -> Box<Intervals> {
    let none = Accumulator::new();
    let of = |time| if time == Time::Network { network } else { &none };
    Box::new(Time::ALL.map(|time| all(of(time), RunLength::Unknown)))
}

/// The length of the run counts for times that contain waits; others depend on themselves alone.
fn of_time(series: &GroupSeries, time: Time, length: RunLength) -> TimeIntervals {
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
