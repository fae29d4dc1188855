//! Buckets of values with nearly the same ratio, and counts by bucket.
//!
//! As in HdrHistogram, each power of two is cut into equal buckets. The exponent and the first bits of the fraction of a float
//! are its bucket, so no logarithm is needed.

/// Buckets of one power of two, as bits: 64, each at most 1/64 as wide as its lowest value.
const FINE_BITS: u32 = 6;
/// A block's buckets: 16 for a power of two. They only have to say which share of a block lies beyond a value.
const COARSE_BITS: u32 = 4;
/// Smaller magnitudes count as this one: a nanosecond in seconds is above it.
const MAGNITUDE_MIN: f64 = 1.0 / (1_u64 << 32) as f64;
/// Larger magnitudes count as this one: the largest number of nanoseconds or bytes is below it.
const MAGNITUDE_MAX: f64 = (1_u128 << 64) as f64;

/// The fine bucket of a finite value. Zero has a bucket of its own, 0; buckets of negative values are negative.
#[inline]
pub fn fine(value: f64) -> i32 {
    if value == 0.0 {
        return 0;
    }
    let magnitude = value.abs().clamp(MAGNITUDE_MIN, MAGNITUDE_MAX);
    let steps = (magnitude.to_bits() - MAGNITUDE_MIN.to_bits()) >> (f64::MANTISSA_DIGITS - 1 - FINE_BITS);
    let bucket = steps as i32 + (1 << (FINE_BITS - COARSE_BITS));
    if value < 0.0 { -bucket } else { bucket }
}

/// The coarse bucket around a fine one.
#[inline]
pub fn coarse(fine: i32) -> i32 {
    // Truncates towards zero, which mirrors negative buckets.
    fine / (1 << (FINE_BITS - COARSE_BITS))
}

/// The smallest and the largest value of a fine bucket.
pub fn ends(bucket: i32) -> (f64, f64) {
    if bucket == 0 {
        return (0.0, 0.0);
    }
    let steps = u64::from(bucket.unsigned_abs()) - (1 << (FINE_BITS - COARSE_BITS));
    let start = |steps: u64| {
        f64::from_bits(MAGNITUDE_MIN.to_bits() + (steps << (f64::MANTISSA_DIGITS - 1 - FINE_BITS)))
    };
    let (near, far) = (start(steps), start(steps + 1));
    if bucket < 0 { (-far, -near) } else { (near, far) }
}

/// A width of counts: narrow ones, of which there are many, stop at their maximum.
pub trait Count {
    const ONE: Self;
    fn increase(&mut self, by: Self);
    fn get(self) -> u64;
}

impl Count for u32 {
    const ONE: Self = 1;

    #[inline]
    fn increase(&mut self, by: Self) {
        *self = self.saturating_add(by);
    }

    fn get(self) -> u64 {
        u64::from(self)
    }
}

impl Count for u64 {
    const ONE: Self = 1;

    #[inline]
    fn increase(&mut self, by: Self) {
        *self += by;
    }

    fn get(self) -> u64 {
        self
    }
}

/// Counts by bucket: one entry for each bucket between the lowest and the highest in use, at most 12,300 fine or 3,100 coarse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts<T> {
    /// Bucket of the first entry.
    first: i32,
    counts: Vec<T>,
}

impl<T: Copy + Default + Count> Counts<T> {
    #[inline]
    pub fn add(&mut self, bucket: i32) {
        let index = bucket.wrapping_sub(self.first) as u32 as usize;
        if index >= self.counts.len() {
            self.grow(bucket, bucket);
        }
        self.counts[(bucket - self.first) as usize].increase(T::ONE);
    }

    pub fn merge(&mut self, other: &Self) {
        if other.counts.is_empty() {
            return;
        }
        self.grow(other.first, other.first + other.counts.len() as i32 - 1);
        let begin = (other.first - self.first) as usize;
        for (count, more) in self.counts[begin..].iter_mut().zip(&other.counts) {
            count.increase(*more);
        }
    }

    /// Number of values in buckets above `bucket`.
    pub fn above(&self, bucket: i32) -> u64 {
        let begin = (bucket + 1 - self.first).max(0) as usize;
        let above = self.counts.get(begin..).unwrap_or_default();
        above.iter().map(|&count| count.get()).sum()
    }

    /// The bucket of the value with this rank; the smallest has rank 1. None beyond the last value.
    pub fn at_rank(&self, rank: u64) -> Option<i32> {
        let mut below = 0;
        let position = self.counts.iter().position(|&count| {
            below += count.get();
            below >= rank.max(1)
        });
        position.map(|position| self.first + position as i32)
    }

    /// Makes room for the buckets from `low` to `high`.
    fn grow(&mut self, low: i32, high: i32) {
        if self.counts.is_empty() {
            self.first = low;
        }
        if low < self.first {
            let more = (self.first - low) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(T::default(), more));
            self.first = low;
        }
        let length = (high + 1 - self.first) as usize;
        if length > self.counts.len() {
            self.counts.resize(length, T::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_their_values_and_keep_their_order() {
        let mut before = i32::MIN;
        for value in [
            -1e18, -3.0, -2e-9, 0.0, 1e-9, 0.5, 1.0, 1.02, 1.04, 2.0, 1e6, 1.8e19,
        ] {
            let bucket = fine(value);
            let (low, high) = ends(bucket);
            assert!(low <= value && value <= high, "{value}: {low} to {high}");
            assert!(
                high - low <= low.abs().min(high.abs()) / 64.0,
                "{value}: {low} to {high}"
            );
            assert!(bucket > before, "{value}");
            assert_eq!(coarse(bucket).signum(), bucket.signum(), "{value}");
            before = bucket;
        }
        for (value, as_if) in [(1e-300, MAGNITUDE_MIN), (-1e300, -MAGNITUDE_MAX), (-0.0, 0.0)] {
            assert_eq!(fine(value), fine(as_if), "{value}");
        }
    }

    #[test]
    fn counts_answer_by_rank_and_by_bucket_however_they_are_merged() {
        let mut counts = Counts::<u32>::default();
        assert_eq!((counts.at_rank(1), counts.above(0)), (None, 0));
        let mut others = Counts::<u32>::default();
        for bucket in [5, 5, 9] {
            counts.add(bucket);
        }
        for bucket in [-2, 0, 5, 12] {
            others.add(bucket);
        }
        counts.merge(&others);
        counts.merge(&Counts::default());
        let ranks: Vec<_> = (0..=8).map(|rank| counts.at_rank(rank)).collect();
        let expected = [-2, -2, 0, 5, 5, 5, 9, 12].map(Some);
        assert_eq!(ranks[..8], expected);
        assert_eq!(ranks[8], None);
        let above = [-9, -2, 4, 5, 12, 99].map(|bucket| counts.above(bucket));
        assert_eq!(above, [7, 6, 5, 2, 0, 0]);
    }
}
