//! Points of one series in the order of their times: [`Recent`] distinguishes duplicates from points out of order, [`rounds`]
//! splits a batch into collections.

use serde::{Deserialize, Serialize};

use aggregate::maps::Set;

/// Number of times kept for each series: an exporter that retries a request sends at most a few later ones meanwhile.
const TIMES: usize = 4;

/// The latest times of a series, latest first; zero where there are fewer.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Recent([u64; TIMES]);

/// A point's place among the earlier received points of its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Later than all.
    Next,
    /// Earlier than another one, and not received before.
    Late,
    /// Earlier than all that are remembered: whether it came before is unknown.
    TooLate,
    /// Received before.
    Duplicate,
}

impl Recent {
    /// Finds a point's place and remembers its time.
    pub fn insert(&mut self, time: u64) -> Order {
        if self.0.contains(&time) {
            return Order::Duplicate;
        }
        let place = self.0.partition_point(|&known| known > time);
        if place == TIMES {
            return Order::TooLate;
        }
        self.0[place..].rotate_right(1);
        self.0[place] = time;
        if place == 0 { Order::Next } else { Order::Late }
    }
}

/// Splits points, sorted by time, into groups in which no series has two. Points of one time stay together, so that a new
/// series joins the known ones of its collection.
pub fn rounds<T>(points: &[T], time_and_series: impl Fn(&T) -> (u64, u64)) -> Vec<&[T]> {
    let (mut rounds, mut seen) = (Vec::new(), Set::default());
    let (mut begin, mut end) = (0, 0);
    for together in points.chunk_by(|one, next| time_and_series(one).0 == time_and_series(next).0) {
        let series = || together.iter().map(|point| time_and_series(point).1);
        if series().any(|series| seen.contains(&series)) {
            rounds.push(&points[begin..end]);
            begin = end;
            seen.clear();
        }
        seen.extend(series());
        end += together.len();
    }
    if begin < end {
        rounds.push(&points[begin..]);
    }
    rounds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_point_out_of_order_is_no_duplicate() {
        use Order::{Duplicate, Late, Next, TooLate};
        let mut recent = Recent::default();
        let order: Vec<Order> = [10, 30, 20, 20, 10, 40, 50, 60, 10, 15]
            .map(|time| recent.insert(time))
            .into();
        let expected = [
            Next, Next, Late, Duplicate, Duplicate, Next, Next, Next, TooLate, TooLate,
        ];
        assert_eq!(order, expected);
    }

    proptest! {
        #[test]
        fn whatever_the_order_no_point_that_came_once_is_a_duplicate(times in prop::collection::vec(1_u64..12, 0..40)) {
            let mut recent = Recent::default();
            let mut came: Vec<u64> = Vec::new();
            for time in times {
                let order = recent.insert(time);
                if order == Order::Duplicate {
                    prop_assert!(came.contains(&time));
                } else if came.contains(&time) {
                    prop_assert_eq!(order, Order::TooLate);
                }
                prop_assert_eq!(order == Order::Next, came.iter().all(|&known| known < time));
                came.push(time);
            }
        }

        #[test]
        fn rounds_keep_all_points_and_no_series_twice(mut points in prop::collection::vec((0_u64..6, 0_u64..4), 0..30)) {
            points.sort_unstable();
            points.dedup();
            let rounds = rounds(&points, |&point| point);
            prop_assert_eq!(&rounds.concat(), &points);
            for round in rounds {
                let mut series: Vec<u64> = round.iter().map(|(_, series)| *series).collect();
                series.sort_unstable();
                prop_assert!(series.windows(2).all(|pair| pair[0] < pair[1]) && !series.is_empty());
            }
        }
    }
}
