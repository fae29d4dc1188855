//! [`heat_rows`]: the rows of a heat map of response times, from the sketches (counts by bin) of a timeline.

use analyze::stats::figures::Time;

use crate::model::{BIN_RATIO, Bucket};

/// Rows of a heat map. Each row consists of one or more bins with equal ratios of their boundaries, so that there are not too
/// many rows.
#[derive(Debug, PartialEq)]
pub struct Rows {
    /// Boundaries of the rows, nanoseconds. There is one boundary more than there are rows.
    pub bounds: Vec<f64>,
    /// For each bucket, the counts of its rows from low to high.
    pub counts: Vec<Vec<u64>>,
}

/// The rows of the buckets. `None` if there is no value above zero. Values of zero count in the lowest row.
pub fn heat_rows(buckets: &[Bucket], time: Time, rows_max: usize) -> Option<Rows> {
    let bins_of = |bucket: &Bucket| bucket.times[time as usize].bins.clone();
    let used = || {
        buckets
            .iter()
            .flat_map(bins_of)
            .map(|(bin, _)| bin)
            .filter(|bin| *bin > 0)
    };
    let (first, last) = (used().min()?, used().max()?);
    let bins = usize::from(last - first) + 1;
    let joined = bins.div_ceil(rows_max.max(1));
    let rows = bins.div_ceil(joined);
    let low_of = |row: usize| first.saturating_add((row * joined) as u16);
    let counts = buckets.iter().map(|bucket| {
        let mut counts = vec![0; rows];
        for (bin, count) in bins_of(bucket) {
            let row = usize::from(bin.saturating_sub(first)) / joined;
            counts[row] += u64::from(count);
        }
        counts
    });
    Some(Rows {
        bounds: (0..=rows).map(|row| lowest_ns(low_of(row))).collect(),
        counts: counts.collect(),
    })
}

/// The lower boundary of a bin other than the bin of zeros, nanoseconds.
fn lowest_ns(bin: u16) -> f64 {
    BIN_RATIO.powi(i32::from(bin) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(bins: &[(u16, u32)]) -> Bucket {
        let mut bucket = Bucket::default();
        bucket.times[Time::Response as usize].bins = bins.to_vec();
        bucket
    }

    #[test]
    fn bins_are_joined_to_rows_and_every_value_counts() {
        let buckets = [
            bucket(&[(0, 1), (10, 2), (15, 3)]),
            bucket(&[]),
            bucket(&[(30, 4)]),
        ];
        let rows = heat_rows(&buckets, Time::Response, 8).unwrap();
        assert_eq!(rows.counts.len(), 3);
        assert_eq!(rows.counts[0], [3, 3, 0, 0, 0, 0, 0]);
        assert_eq!(rows.counts[2], [0, 0, 0, 0, 0, 0, 4]);
        assert_eq!(rows.bounds.len(), 8);
        assert_eq!(rows.bounds[0], lowest_ns(10));
        assert_eq!(heat_rows(&[bucket(&[(0, 5)])], Time::Response, 8), None);
    }
}
