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
}
