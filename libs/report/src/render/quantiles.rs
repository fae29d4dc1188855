//! Quantiles and means of buckets of the timeline, and the rows of a heat map.

use analyze::stats::figures::Time;

use crate::model::{Bucket, BucketTime, bin_ends_ns, bin_middle_ns};

/// The quantile of a bucket's sketch, nanoseconds, within 5%.
pub fn quantile_ns(bins: &[(u16, u32)], fraction: f64) -> Option<f64> {
    let count: u64 = bins.iter().map(|(_, count)| u64::from(*count)).sum();
    let rank = (count as f64 * fraction).ceil().max(1.0) as u64;
    let mut below = 0;
    for &(bin, count) in bins {
        below += u64::from(count);
        if below >= rank {
            return Some(bin_middle_ns(bin));
        }
    }
    None
}

pub fn mean_ns(time: &BucketTime) -> Option<f64> {
    (time.count > 0).then(|| time.sum_ns as f64 / time.count as f64)
}

/// Rows of a heat map: bins of equal ratio, joined so that they are not too many.
#[derive(Debug, PartialEq)]
pub struct Rows {
    /// Boundaries, nanoseconds: one more than there are rows.
    pub bounds: Vec<f64>,
    /// For each bucket, the counts from low to high.
    pub counts: Vec<Vec<u64>>,
}

/// `None` without values. Zeros count in the lowest row.
pub fn heat_rows(buckets: &[Bucket], time: Time, rows_max: usize) -> Option<Rows> {
    let bins_of = |bucket: &Bucket| bucket.times[time as usize].bins.clone();
    let used = || buckets.iter().flat_map(bins_of).map(|(bin, _)| bin).filter(|bin| *bin > 0);
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
        bounds: (0..=rows).map(|row| bin_ends_ns(low_of(row)).0).collect(),
        counts: counts.collect(),
    })
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
    fn a_quantile_is_the_middle_of_the_bin_of_its_rank() {
        let bins = [(5, 50), (9, 45), (20, 5)];
        assert_eq!(quantile_ns(&bins, 0.5), Some(bin_middle_ns(5)));
        assert_eq!(quantile_ns(&bins, 0.95), Some(bin_middle_ns(9)));
        assert_eq!(quantile_ns(&bins, 0.99), Some(bin_middle_ns(20)));
        assert_eq!(quantile_ns(&[], 0.5), None);
    }

    #[test]
    fn bins_are_joined_to_rows_and_every_value_counts() {
        let buckets = [bucket(&[(0, 1), (10, 2), (15, 3)]), bucket(&[]), bucket(&[(30, 4)])];
        let rows = heat_rows(&buckets, Time::Response, 8).unwrap();
        assert_eq!(rows.counts.len(), 3);
        assert_eq!(rows.counts[0], [3, 3, 0, 0, 0, 0, 0]);
        assert_eq!(rows.counts[2], [0, 0, 0, 0, 0, 0, 4]);
        assert_eq!(rows.bounds.len(), 8);
        assert!((rows.bounds[0] - bin_ends_ns(10).0).abs() < 1e-9);
        assert_eq!(heat_rows(&[bucket(&[(0, 5)])], Time::Response, 8), None);
    }
}
