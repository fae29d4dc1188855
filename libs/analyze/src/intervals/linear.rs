//! [`Linear`]: an interval for a figure that is computed from sums, such as a ratio. It uses the contribution of each batch to
//! the error.

use super::batches::Spread;
use super::interval::{Interval, NoInterval};
use super::run_length::RunLength;

/// Minimum number of values. With fewer, some batches would have one value or none.
const VALUES_MIN: u64 = 16;
/// Minimum number of batches. With fewer, their correlation and skewness would depend on chance.
const BATCHES_MIN: usize = 10;

/// A figure, and for each batch a linear approximation of the figure. The weighted mean of the batches is the figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    estimate: f64,
    /// Value and weight.
    batches: Vec<(f64, f64)>,
}

/// Facts about the single values, which the batches do not contain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Number of values.
    pub values: u64,
    /// Variance of an independent value. The effective sample size is this variance divided by the square of the figure's error.
    pub variance: f64,
    /// Error of the figure if all values were independent; 0 if unknown. The error is at least this value, because small
    /// differences between few batches can be chance.
    pub least_error: f64,
}

/// Sums of a batch for a ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    pub numerator: f64,
    pub denominator: f64,
    /// Length of the batch in time, or its number of values.
    pub weight: f64,
}

impl Linear {
    /// The ratio of two sums, in linear approximation (Cochran, Sampling Techniques, 1977, chapter 6). `None` if the
    /// denominator is not positive.
    pub fn ratio(parts: &[Part]) -> Option<Self> {
        let sum = |of: fn(&Part) -> f64| parts.iter().map(of).sum::<f64>();
        let denominator = sum(|part| part.denominator);
        let ratio = sum(|part| part.numerator) / denominator;
        let residuals = parts.iter().map(|part| {
            let residual = part.numerator - ratio * part.denominator;
            (residual / denominator, part.weight)
        });
        let is_known = denominator > 0.0 && ratio.is_finite();
        is_known.then(|| Self::new(ratio, residuals.collect()))
    }

    /// A figure, with the contribution of each batch to its error and the weight of the batch. The contributions must add up to
    /// 0.
    pub fn new(estimate: f64, errors: Vec<(f64, f64)>) -> Self {
        let weights: f64 = errors.iter().map(|(_, weight)| weight).sum();
        let value = |(error, weight): (f64, f64)| (estimate + error * weights / weight, weight);
        Self {
            estimate,
            batches: errors.into_iter().map(value).collect(),
        }
    }

    pub fn estimate(&self) -> f64 {
        self.estimate
    }

    /// An interval that contains the figure in a share `level` of all runs like this one.
    ///
    /// # Errors
    /// If the run is too short, or the batches are equal.
    pub fn interval(&self, level: f64, length: RunLength, sample: Sample) -> Result<Interval, NoInterval> {
        if sample.values < VALUES_MIN {
            return Err(NoInterval::TooFew {
                values: sample.values,
                needed: VALUES_MIN,
            });
        }
        if self.batches.len() < BATCHES_MIN {
            return Err(NoInterval::TooBrief {
                batches: self.batches.len(),
                needed: BATCHES_MIN,
            });
        }
        length.check()?;
        let spread = Spread::of(&self.batches);
        let error = spread.standard_error.max(sample.least_error);
        // Equal batches can still differ by rounding.
        if error <= self.estimate.abs() * f64::EPSILON * self.batches.len() as f64 {
            return Err(NoInterval::Constant);
        }
        let size = (sample.variance / error.powi(2)).min(sample.values as f64);
        length.check_size(size)?;
        let (below, above) = spread.reach(level).ok_or(NoInterval::InvalidRequest)?;
        Ok(Interval {
            estimate: self.estimate,
            low: Some((self.estimate - below * error).max(0.0)),
            high: Some(self.estimate + above * error),
            effective_sample_size: size,
        })
    }
}
