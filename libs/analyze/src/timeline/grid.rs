//! [`Grid`]: divides the period of a run into equal time intervals (buckets).

use super::series::BUCKETS_MAX;
use crate::stats::window::Bounds;

const NS_PER_S: u64 = 1_000_000_000;
/// If a run is shorter than this, its buckets may be shorter than a second, so that it has several.
const SHORT_NS: u64 = 20 * NS_PER_S;
/// Minimum width of a bucket: for short runs, and for others.
const WIDTHS_MIN_NS: [u64; 2] = [NS_PER_S / 10, NS_PER_S];

/// Equal buckets. The first one begins at the start of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// First `ts_start` and last `ts_end`, nanoseconds since the Unix epoch.
    begin: i64,
    end: i64,
    width: u64,
    buckets: usize,
}

impl Grid {
    pub fn new(begin: i64, end: i64) -> Self {
        let end = end.max(begin);
        let length = end.abs_diff(begin);
        let is_short = length < SHORT_NS;
        let mut power = WIDTHS_MIN_NS[usize::from(!is_short)];
        // This ends, because 120 buckets of 10^18 ns are longer than 64 bits of nanoseconds.
        let width = loop {
            let fits = |width: &u64| length / width < BUCKETS_MAX as u64;
            if let Some(width) = [power, 2 * power, 5 * power].into_iter().find(fits) {
                break width;
            }
            power *= 10;
        };
        Self {
            begin,
            end,
            width,
            buckets: (length / width) as usize + 1,
        }
    }

    pub fn begin_ns(&self) -> i64 {
        self.begin
    }

    pub fn end_ns(&self) -> i64 {
        self.end
    }

    pub fn width_ns(&self) -> u64 {
        self.width
    }

    /// Number of buckets, at least 1.
    pub fn buckets(&self) -> usize {
        self.buckets
    }

    /// The bucket of a timestamp; `None` outside of the run.
    #[inline]
    pub fn bucket(&self, at: i64) -> Option<usize> {
        let is_inside = (self.begin..=self.end).contains(&at);
        is_inside.then(|| (at.abs_diff(self.begin) / self.width) as usize)
    }

    /// The bucket of an invocation, by its `ts_start`. If this is after the last `ts_end`, the row contradicts itself. It then
    /// counts in the last bucket, so that each invocation counts once.
    #[inline]
    pub fn bucket_of_start(&self, start: i64) -> usize {
        let inside = start.clamp(self.begin, self.end);
        (inside.abs_diff(self.begin) / self.width) as usize
    }

    /// Start and end of a bucket. The last bucket ends no later than the run.
    pub fn bounds(&self, bucket: usize) -> Bounds {
        let at = |bucket: usize| {
            let after = i128::from(self.width) * bucket as i128;
            // The value fits, because it is at most the end.
            (i128::from(self.begin) + after).min(i128::from(self.end)) as i64
        };
        Bounds {
            begin: at(bucket),
            end: at(bucket + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_1_2_5_times_a_power_of_ten_and_cover_the_run() {
        let s = |seconds: f64| (seconds * 1e9) as i64;
        for (length, width, buckets) in [
            (0.0, 0.1, 1),
            (0.25, 0.1, 3),
            (11.9, 0.1, 120),
            (12.0, 0.2, 61),
            (19.9, 0.2, 100),
            (20.0, 1.0, 21),
            (119.9, 1.0, 120),
            (120.0, 2.0, 61),
            (400.0, 5.0, 81),
            (3600.0, 50.0, 73),
        ] {
            let grid = Grid::new(5, 5 + s(length));
            assert_eq!((grid.width as i64, grid.buckets), (s(width), buckets), "{length}");
            assert_eq!(grid.bucket(5 + s(length)), Some(buckets - 1));
            assert_eq!(grid.bounds(buckets - 1).end, 5 + s(length));
            assert_eq!((grid.bucket(4), grid.bucket(6 + s(length))), (None, None));
            assert_eq!(grid.bucket_of_start(i64::MAX), buckets - 1);
        }
        let grid = Grid::new(i64::MIN, i64::MAX);
        assert!(grid.buckets <= BUCKETS_MAX && grid.bucket(i64::MAX).is_some());
    }
}
