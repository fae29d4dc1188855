//! [`Linear`]: an interval for a figure that follows from sums, such as a ratio, by the part that each batch has in its error.

use super::batches::Spread;
use super::interval::{Interval, NoInterval};
use super::run_length::RunLength;

/// Fewer values would give batches with one value or none.
const VALUES_MIN: u64 = 16;
/// Fewer batches would leave their correlation and skewness to chance. Shorter time has no interval.
const BATCHES_MIN: usize = 10;

/// A figure, and the same figure of each batch as a linear function of the batch's sums: the values' weighted mean is the figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    estimate: f64,
    /// Value and weight.
    batches: Vec<(f64, f64)>,
}

/// Facts about the values that the batches do not have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Number of values.
    pub values: u64,
    /// Variance of an independent value, which defines the effective sample size.
    pub variance: f64,
    /// Error of the figure if all values were independent, at which chance among few batches is not taken for certainty. 0 if
    /// unknown.
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
    /// The ratio of two sums, linearised (Cochran, Sampling Techniques, 1977, chapter 6). `None` if the denominator is not positive.
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

    /// A figure and each batch's part in its error, which add up to 0, with the weight of the batch.
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

    /// An interval that covers the figure in a share `level` of all runs like this one.
    ///
    /// # Errors
    /// If the run is too short, or the batches do not differ.
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
        // Sums that are equal in each batch differ by rounding.
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
