//! Buckets for values. The ratio of a bucket's largest to its smallest value is nearly the same for all buckets.
//!
//! As in HdrHistogram, each power of two is divided into equal buckets. The exponent and the first bits of the fraction of a
//! float are the number of its bucket, so no logarithm is needed.

/// Fine buckets for each power of two, as a number of bits: 64 buckets. Each is at most 1/64 as wide as its lowest value.
const FINE_BITS: u32 = 6;
/// Coarse buckets for each power of two, as a number of bits: 16 buckets. Blocks use them only for the share of values beyond a
/// limit.
const COARSE_BITS: u32 = 4;
/// Minimum magnitude; smaller ones count as this one. A nanosecond, in seconds, is larger.
const MAGNITUDE_MIN: f64 = 1.0 / (1_u64 << 32) as f64;
/// Maximum magnitude; larger ones count as this one. All 64-bit numbers of nanoseconds or bytes are smaller.
const MAGNITUDE_MAX: f64 = (1_u128 << 64) as f64;

/// The fine bucket of a finite value. Bucket 0 contains only zero; negative values have negative buckets.
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

/// The coarse bucket that contains a fine bucket.
#[inline]
pub fn coarse(fine: i32) -> i32 {
    // The division truncates towards zero, so negative buckets mirror positive ones.
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
