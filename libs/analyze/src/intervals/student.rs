//! Quantiles of Student's t distribution for whole degrees of freedom.
//!
//! Source: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and 26.7.4. The probability is a finite
//! sum, which is exact up to rounding. A bisection inverts it. This is short enough to need no crate of distributions.

use std::f64::consts::{FRAC_PI_2, PI};

/// Maximum number of degrees of freedom. Beyond it, the quantile differs from its limit by less than 1e-6 at the levels in use.
const DEGREES_MAX: u32 = 1_000_000;

/// The half width of a two-sided interval at confidence `level`, in standard errors. `None` unless `level` is between 0 and 1
/// and `degrees` is at least 1.
pub fn two_sided(level: f64, degrees: u32) -> Option<f64> {
    if !(level > 0.0 && level < 1.0) || degrees == 0 {
        return None;
    }
    let degrees = degrees.min(DEGREES_MAX);
    // The bisection uses the angle atan(t / sqrt(degrees)), because it is bounded, unlike t.
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    while low < high {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            break;
        }
        if central_probability(middle, degrees) < level {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(low.tan() * f64::from(degrees).sqrt())
}

/// The probability of values between -t and t. `angle` is atan(t / sqrt(degrees)).
fn central_probability(angle: f64, degrees: u32) -> f64 {
    let (sine, cosine) = angle.sin_cos();
    let square = cosine * cosine;
    if degrees.is_multiple_of(2) {
        return sine * series(1.0, 1, degrees / 2, square);
    }
    let sum = if degrees == 1 {
        0.0
    } else {
        series(cosine, 2, degrees / 2, square)
    };
    (angle + sine * sum) * 2.0 / PI
}

/// The sum of `terms` terms. Each term is the previous one times `square` and k / (k + 1), where k starts at `first` and grows
/// by 2.
fn series(start: f64, first: u32, terms: u32, square: f64) -> f64 {
    let mut term = start;
    let mut sum = 0.0;
    for index in 0..terms {
        sum += term;
        // The terms decrease from here on, and are too small to change the sum.
        if term < sum * 1e-17 {
            break;
        }
        let k = f64::from(first + 2 * index);
        term *= square * k / (k + 1.0);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        // R 4: qt(0.975, df), qt(0.95, df) and qt(0.995, df).
        for (level, degrees, expected) in [
            (0.95, 1, 12.706_204_736),
            (0.95, 2, 4.302_652_730),
            (0.95, 3, 3.182_446_305),
            (0.95, 9, 2.262_157_163),
            (0.95, 19, 2.093_024_054),
            (0.95, 30, 2.042_272_456),
            (0.95, 100, 1.983_971_519),
            (0.90, 4, 2.131_846_786),
            (0.90, 19, 1.729_132_812),
            (0.99, 5, 4.032_142_984),
            (0.99, 19, 2.860_934_606),
            (0.95, 1_000_000, 1.959_966),
        ] {
            let found = two_sided(level, degrees).unwrap();
            assert!(
                (found - expected).abs() < 2e-6 * expected,
                "{level} {degrees}: {found}"
            );
        }
    }

    #[test]
    fn levels_and_degrees_without_a_quantile_are_refused() {
        for level in [f64::NAN, -0.1, 0.0, 1.0, 2.0] {
            assert_eq!(two_sided(level, 19), None, "{level}");
        }
        assert_eq!(two_sided(0.95, 0), None);
    }
}
