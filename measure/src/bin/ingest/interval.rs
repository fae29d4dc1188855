//! [`Interval`]: the median of measured turns, with its confidence interval.

use anyhow::ensure;
use serde::Serialize;

use super::figures::median;

/// Fewer turns give no interval of the median at [`CONFIDENCE`].
pub const TURNS_MIN: usize = 6;
const CONFIDENCE: f64 = 0.95;

/// A median and its interval at [`CONFIDENCE`].
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Interval {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// # Errors
    /// If there are fewer than [`TURNS_MIN`] values.
    pub fn of_median(mut values: Vec<f64>) -> anyhow::Result<Self> {
        let turns = values.len();
        ensure!(
            turns >= TURNS_MIN,
            "{turns} turns: at least {TURNS_MIN} are needed for an interval"
        );
        let median = median(&mut values)?;
        let outside = values_outside(turns);
        Ok(Self {
            median,
            low: values[outside],
            high: values[turns - 1 - outside],
        })
    }
}

/// Number of sorted values outside of the median's interval at either end. The interval is that of the sign test, which assumes
/// independent turns and no distribution. With `n` values and `k` left out, the coverage is `1 - 2 P(Binomial(n, 1/2) <= k)`.
fn values_outside(n: usize) -> usize {
    let mut probability = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let mut tail = probability;
    let mut outside = 0;
    for k in 1..n / 2 {
        probability *= (n - k + 1) as f64 / k as f64;
        tail += probability;
        if 1.0 - 2.0 * tail < CONFIDENCE {
            break;
        }
        outside = k;
    }
    outside
}

#[cfg(test)]
mod tests {
    use super::values_outside;

    #[test]
    fn an_interval_leaves_out_what_the_sign_test_allows() {
        // Coverage 0.984 with none of 7 left out, 0.875 with one; 0.979 with one of 10; 0.965 with three of 15.
        assert_eq!(values_outside(6), 0);
        assert_eq!(values_outside(7), 0);
        assert_eq!(values_outside(10), 1);
        assert_eq!(values_outside(15), 3);
    }
}
