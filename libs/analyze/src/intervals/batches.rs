//! The standard error of a mean from means of batches, adjusted for skewness and for dependence between batches.
//!
//! Sources: Willink, A confidence interval and test for the mean of an asymmetric distribution, Communications in Statistics 34
//! (2005); Tafazzoli, Steiger and Wilson, N-Skart: a nonsequential skewness- and autoregression-adjusted batch-means procedure,
//! IEEE Transactions on Automatic Control 56 (2011), which combines the two adjustments.

use super::student;

/// Maximum correlation of neighbouring batches. With a higher one, the adjustment would depend only on chance.
const CORRELATION_MAX: f64 = 0.9;
/// Minimum skewness, divided by 6 and by the root of the number of batches. With a lower one, the adjustment is a rounding
/// error.
const SKEWNESS_MIN: f64 = 1e-6;

/// The spread of batch means, from which the error of the total mean follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub mean: f64,
    /// Standard error, adjusted for the correlation of neighbouring batches.
    pub standard_error: f64,
    skewness: f64,
    batches: u32,
}

impl Spread {
    /// `batches` has the mean and the number of values of each batch, in order of time. At least three are needed.
    pub fn of(batches: &[(f64, f64)]) -> Self {
        let number = batches.len() as f64;
        let count: f64 = batches.iter().map(|(_, count)| count).sum();
        let mean = batches.iter().map(|(mean, count)| mean * count).sum::<f64>() / count;
        // The variance of a batch's mean is inversely proportional to its number of values.
        let scaled: Vec<f64> = batches
            .iter()
            .map(|(batch, of_batch)| (batch - mean) * (of_batch * number / count).sqrt())
            .collect();
        let squares: f64 = scaled.iter().map(|x| x * x).sum();
        let variance = squares / (number - 1.0);
        if variance == 0.0 {
            return Self {
                mean,
                standard_error: 0.0,
                skewness: 0.0,
                batches: batches.len() as u32,
            };
        }
        let products: f64 = scaled.windows(2).map(|pair| pair[0] * pair[1]).sum();
        let correlation = (products / squares).clamp(0.0, CORRELATION_MAX);
        let dependence = (1.0 + correlation) / (1.0 - correlation);
        let cubes: f64 = scaled.iter().map(|x| x * x * x).sum();
        let skewness = cubes * number / ((number - 1.0) * (number - 2.0)) / variance.powf(1.5);
        Self {
            mean,
            standard_error: (variance / number * dependence).sqrt(),
            skewness,
            batches: batches.len() as u32,
        }
    }

    /// The distances of the interval's ends from the mean (below, above), in standard errors. `None` if the level is invalid.
    pub fn reach(&self, level: f64) -> Option<(f64, f64)> {
        let t = student::two_sided(level, self.batches - 1)?;
        let beta = self.skewness / (6.0 * f64::from(self.batches).sqrt());
        let adjusted = |t: f64| {
            if beta.abs() < SKEWNESS_MIN {
                return t;
            }
            ((1.0 + 6.0 * beta * (t - beta)).cbrt() - 1.0) / (2.0 * beta)
        };
        Some((adjusted(t), -adjusted(-t)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(means: &[f64]) -> Vec<(f64, f64)> {
        means.iter().map(|&mean| (mean, 10.0)).collect()
    }

    #[test]
    fn symmetric_independent_batches_give_the_plain_interval() {
        // Neighbouring batches alternate, so they have no positive correlation, and the error is not adjusted.
        let spread = Spread::of(&batches(&[1.0, 3.0, 1.0, 3.0, 1.0, 3.0, 1.0, 3.0]));
        assert_eq!(spread.mean, 2.0);
        assert!((spread.standard_error - (1.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        let (below, above) = spread.reach(0.95).unwrap();
        let t = student::two_sided(0.95, 7).unwrap();
        assert!(
            (below - t).abs() < 1e-9 && (above - t).abs() < 1e-9,
            "{below} {above} {t}"
        );
        assert_eq!(spread.reach(1.0), None);
    }

    #[test]
    fn a_long_upper_tail_raises_both_ends() {
        let spread = Spread::of(&batches(&[1.0, 1.5, 1.0, 6.0, 1.2, 1.0, 1.3, 1.1]));
        let (below, above) = spread.reach(0.95).unwrap();
        let t = student::two_sided(0.95, 7).unwrap();
        assert!(below < t && t < above, "{below} {t} {above}");
    }

    #[test]
    fn batches_that_resemble_their_neighbours_give_a_larger_error() {
        let similar = Spread::of(&batches(&[1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 2.0, 2.0]));
        let mixed = Spread::of(&batches(&[1.0, 3.0, 2.0, 2.0, 1.0, 3.0, 2.0, 2.0]));
        assert!(similar.standard_error > 1.3 * mixed.standard_error);
    }

    #[test]
    fn a_batch_counts_by_its_number_of_values() {
        let mut uneven = batches(&[1.0, 3.0, 2.0]);
        uneven[1].1 = 20.0;
        assert_eq!(Spread::of(&uneven).mean, 2.25);
        assert_eq!(Spread::of(&batches(&[2.0, 2.0, 2.0])).standard_error, 0.0);
    }
}
