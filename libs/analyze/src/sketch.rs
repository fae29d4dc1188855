//! [`Sketch`]: counts of values in buckets. Quantiles computed from it are exact to [`RELATIVE_ERROR`].
//!
//! As in DDSketch, the ratio of a bucket's largest to its smallest value is nearly the same for all buckets, sketches of parts
//! can be added to a sketch of the whole, and zeros are exact. The buckets are those of HdrHistogram: each power of two is
//! divided into 64 equal buckets. This needs only integer operations, so the result does not depend on the order of the values
//! or on the machine.

use crate::counts::Counts;

/// Maximum relative error of a quantile: half of a bucket, whose width is at most 1/64 of its lowest value.
pub const RELATIVE_ERROR: f64 = 1.0 / 128.0;

/// Binary logarithm of the number of buckets for each power of two. Values below twice that number are exact.
const BITS: u32 = 6;
const PER_OCTAVE: u64 = 1 << BITS;

/// Counts of values in buckets. It takes 8 bytes for each bucket between the smallest and the largest value: 4 KiB if the largest
/// value is 256 times the smallest one, 10 KiB for times from 1 us to 1 s, and at most 30 KiB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    count: u64,
    counts: Counts<u64>,
}

impl Sketch {
    #[inline]
    pub fn add(&mut self, value: u64) {
        self.count += 1;
        self.counts.add(bucket_of(value));
    }

    /// Adds the values of another sketch.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.counts.merge(&other.counts);
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Size of the counts in memory, bytes.
    pub fn bytes(&self) -> usize {
        self.counts.bytes()
    }

    /// Number of zeros.
    pub fn zeros(&self) -> u64 {
        self.counts.of(0)
    }

    /// The value with the rank `ceil(fraction * count)`, as in SQL's `quantile_disc`; `None` without values.
    pub fn quantile(&self, fraction: f64) -> Option<u64> {
        let rank = (self.count as f64 * fraction).ceil() as u64;
        self.counts.at_rank(rank).map(middle_of)
    }
}

#[inline]
fn bucket_of(value: u64) -> i32 {
    // The power of two of the value, counted above the range of exact values.
    let octave = (u64::BITS - (value >> BITS).leading_zeros()).saturating_sub(1);
    (u64::from(octave) * PER_OCTAVE + (value >> octave)) as i32
}

/// The middle between a bucket's lowest and highest value.
fn middle_of(bucket: i32) -> u64 {
    let bucket = u64::from(bucket.unsigned_abs());
    let octave = (bucket / PER_OCTAVE).saturating_sub(1);
    let lowest = (bucket - octave * PER_OCTAVE) << octave;
    lowest + ((1 << octave) - 1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The exact quantile of sorted values.
    fn exact(sorted: &[u64], fraction: f64) -> u64 {
        let rank = (sorted.len() as f64 * fraction).ceil().max(1.0) as usize;
        sorted[rank - 1]
    }

    fn sketch_of(values: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|&value| sketch.add(value));
        sketch
    }

    /// Values of all magnitudes, with many small ones and zeros.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        let value = (any::<u64>(), 0..64_u32).prop_map(|(value, shift)| value >> shift);
        prop::collection::vec(prop_oneof![value, Just(0)], 1..200)
    }

    proptest! {
        #[test]
        fn quantiles_are_within_the_error_and_zeros_are_exact(mut values in values(), fraction in 0.0..=1.0_f64) {
            let sketch = sketch_of(&values);
            values.sort_unstable();
            let (found, exact) = (sketch.quantile(fraction).unwrap(), exact(&values, fraction));
            prop_assert!(found.abs_diff(exact) as f64 <= exact as f64 * RELATIVE_ERROR, "{found} for {exact}");
            prop_assert_eq!(sketch.count(), values.len() as u64);
            prop_assert_eq!(sketch.zeros(), values.iter().filter(|value| **value == 0).count() as u64);
        }

        #[test]
        fn sketches_of_parts_add_up_in_any_order(values in values(), cut in 0..200_usize) {
            let (left, right) = values.split_at(cut.min(values.len()));
            let (left, right) = (sketch_of(left), sketch_of(right));
            for (mut sum, more) in [(left.clone(), &right), (right.clone(), &left)] {
                sum.merge(more);
                let whole = sketch_of(&values);
                prop_assert_eq!(sum.count(), whole.count());
                for percent in 0..=100 {
                    let fraction = f64::from(percent) / 100.0;
                    prop_assert_eq!(sum.quantile(fraction), whole.quantile(fraction));
                }
            }
        }
    }

    #[test]
    fn the_largest_value_fits_and_no_value_has_no_quantile() {
        assert_eq!(Sketch::default().quantile(0.5), None);
        let sketch = sketch_of(&[0, u64::MAX]);
        assert_eq!(sketch.quantile(0.5), Some(0));
        assert!(sketch.quantile(1.0).unwrap().abs_diff(u64::MAX) <= u64::MAX / 128);
    }
}
