//! [`Recent`]: distinguishes duplicate points of a series from points that are out of order. [`rounds`]: splits a batch of
//! points into collections.

use serde::{Deserialize, Serialize};

use aggregate::maps::Set;

/// Number of times that are kept for each series. While an exporter retries a request, it sends at most a few later ones.
const TIMES: usize = 4;

/// The latest times of a series, latest first. Unused entries are zero.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Recent([u64; TIMES]);

/// Relation of a point to the earlier points of its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The point is later than all others.
    Next,
    /// The point is earlier than another one, but was not received before.
    Late,
    /// The point is earlier than all remembered points, so it is unknown whether it was received before.
    TooLate,
    /// The point was received before.
    Duplicate,
}

impl Recent {
    /// Determines the relation of a point to earlier ones, and remembers its time.
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

/// Splits points, which must be sorted by time, into groups without two points of one series. Points of the same time stay
/// together, so that a new series is in the same collection as the known ones.
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
