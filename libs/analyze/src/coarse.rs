//! [`CoarseSketch`]: counts of values in a few bins. Quantiles computed from it are exact to [`RELATIVE_ERROR`].
//!
//! The page of a report has thousands of these sketches, so they are coarser than `sketch::Sketch`. The bins are those of
//! DDSketch: bin 0 contains the zeros, and bin `i` the values from `BIN_RATIO^(i-1)` up to, but excluding, `BIN_RATIO^i`. The
//! boundaries are computed with integers. So the result does not depend on the order of the values or on the machine.

use crate::counts::Counts;

/// Maximum distance of a quantile from the exact one, as a fraction of the exact one.
pub const RELATIVE_ERROR: f64 = 0.05;

/// Ratio of a bin's upper to its lower boundary, 21/19. The [`middle`] of a bin is within 5% of each value in it.
pub const BIN_RATIO: f64 = 1.05 / 0.95;

/// Number of bins: one for zeros, and enough to reach the largest 64-bit value.
pub const BINS: usize = 445;

/// Lowest value of each bin. If a bin contains no integer, it has the same lowest value as the next bin.
static LOWEST: [u64; BINS] = lowest_values();

/// For each bit length: number of the first bin that can contain values of this length.
static FIRST_OF_LENGTH: [u16; 65] = first_of_length();

/// Maximum number of bins with values of one bit length: `ln 2 / ln BIN_RATIO`, plus one bin that begins below these values.
const BINS_PER_LENGTH: usize = 8;

const fn lowest_values() -> [u64; BINS] {
    let mut lowest = [0; BINS];
    // The boundary as a fixed-point number with 64 bits after the point.
    let mut boundary = 1_u128 << 64;
    let mut bin = 1;
    while bin < BINS {
        let fraction = boundary as u64;
        lowest[bin] = (boundary >> 64) as u64 + (fraction > 0) as u64;
        bin += 1;
        if bin < BINS {
            // Multiplies by 21/19 without an overflow.
            boundary += boundary / 19 * 2 + boundary % 19 * 2 / 19;
        }
    }
    lowest
}

const fn first_of_length() -> [u16; 65] {
    let mut first = [0; 65];
    let mut length = 1;
    while length <= 64 {
        let least = 1_u64 << (length - 1);
        let mut bin = 1;
        while bin + 1 < BINS && LOWEST_VALUES[bin + 1] <= least {
            bin += 1;
        }
        first[length] = bin as u16;
        length += 1;
    }
    first
}

/// A copy of [`LOWEST`] for use in constants.
const LOWEST_VALUES: [u64; BINS] = lowest_values();

/// The bin of a value.
#[inline]
pub fn bin_of(value: u64) -> u16 {
    let length = (u64::BITS - value.leading_zeros()) as usize;
    let first = FIRST_OF_LENGTH[length];
    let next = usize::from(first) + 1;
    let above = &LOWEST[next..BINS.min(next + BINS_PER_LENGTH)];
    let passed = above.iter().filter(|lowest| **lowest <= value).count() as u16;
    // Zero is the only value with a bit length of 0.
    if length == 0 { 0 } else { first + passed }
}

/// The lowest and the highest value of a bin. If the bin contains no integer, the highest is below the lowest.
pub fn range(bin: u16) -> (u64, u64) {
    let bin = usize::from(bin).min(BINS - 1);
    let highest = match LOWEST.get(bin + 1) {
        Some(next) => next - 1,
        None => u64::MAX,
    };
    (LOWEST[bin], highest)
}

/// A value that is within 5% of each value of the bin.
pub fn middle(bin: u16) -> f64 {
    let (lowest, highest) = range(bin);
    let (lowest, highest) = (lowest as f64, highest as f64);
    if highest <= lowest {
        return lowest;
    }
    2.0 * lowest * highest / (lowest + highest)
}

/// The value with the rank `ceil(fraction * count)`, exact to 5%; `None` without values. `bins` has the number of values in
/// each bin, sorted by bin.
pub fn quantile(bins: &[(u16, u32)], fraction: f64) -> Option<f64> {
    let count: u64 = bins.iter().map(|(_, count)| u64::from(*count)).sum();
    let rank = (count as f64 * fraction).ceil().max(1.0) as u64;
    let mut below = 0;
    let reached = bins.iter().find(|(_, count)| {
        below += u64::from(*count);
        below >= rank
    });
    reached.map(|(bin, _)| middle(*bin))
}

/// Counts of values by bin. It takes 4 bytes for each bin between the smallest and the largest value: 600 bytes for times
/// from 1 us to 1 s, and 2 KiB at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CoarseSketch(Counts<u32>);

impl CoarseSketch {
    /// Adds a value that belongs to this bin.
    #[inline]
    pub fn add(&mut self, bin: u16) {
        self.0.add(i32::from(bin));
    }

    /// Adds the values of another sketch.
    pub fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    /// Number of values in each non-empty bin, sorted by bin.
    pub fn bins(&self) -> Vec<(u16, u32)> {
        self.0.used().map(|(bin, count)| (bin as u16, count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sketch_of(values: &[u64]) -> CoarseSketch {
        let mut sketch = CoarseSketch::default();
        values.iter().for_each(|&value| sketch.add(bin_of(value)));
        sketch
    }

    /// Values of all magnitudes, with many small ones and zeros.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        let value = (any::<u64>(), 0..64_u32).prop_map(|(value, shift)| value >> shift);
        prop::collection::vec(prop_oneof![value, Just(0)], 1..200)
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_5_percent(mut values in values(), fraction in 0.0..=1.0_f64) {
            let found = quantile(&sketch_of(&values).bins(), fraction).unwrap();
            values.sort_unstable();
            let rank = (values.len() as f64 * fraction).ceil().max(1.0) as usize;
            let exact = values[rank - 1] as f64;
            // The tolerance is for the rounding of the last operation.
            prop_assert!((found - exact).abs() <= exact * (RELATIVE_ERROR + 1e-12), "{found} for {exact}");
        }

        #[test]
        fn sketches_of_parts_add_up_in_any_order(values in values(), cut in 0..200_usize) {
            let (left, right) = values.split_at(cut.min(values.len()));
            let (left, right) = (sketch_of(left), sketch_of(right));
            for (mut sum, more) in [(left.clone(), &right), (right.clone(), &left)] {
                sum.merge(more);
                prop_assert_eq!(sum.bins(), sketch_of(&values).bins());
            }
        }

        #[test]
        fn a_value_is_in_the_range_of_its_bin(value in any::<u64>(), shift in 0..64_u32) {
            let value = value >> shift;
            let (lowest, highest) = range(bin_of(value));
            prop_assert!((lowest..=highest).contains(&value), "{value} in {lowest}..={highest}");
        }
    }

    #[test]
    fn bins_are_powers_of_their_ratio_and_cover_all_values() {
        assert_eq!((bin_of(0), range(0)), (0, (0, 0)));
        assert_eq!((bin_of(1), range(1)), (1, (1, 1)));
        for bin in 2..BINS as u16 - 1 {
            let (lowest, highest) = range(bin);
            let wanted = (BIN_RATIO.powi(i32::from(bin) - 1), BIN_RATIO.powi(i32::from(bin)));
            assert!(lowest as f64 >= wanted.0 * (1.0 - 1e-12), "{bin}");
            assert!((highest as f64) < wanted.1 * (1.0 + 1e-12), "{bin}");
            assert_eq!(range(bin + 1).0, highest + 1);
        }
        assert_eq!(usize::from(bin_of(u64::MAX)), BINS - 1);
    }
}
