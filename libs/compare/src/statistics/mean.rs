//! [`ratio`] and [`difference`]: means of values in order of time, with the error of section means.

use analyze::intervals::Spread;

use super::sections::sections;
use super::{Estimate, TooShort};

/// The relative difference of two sums of paired values, `sum(b) / sum(a) - 1`.
///
/// Its error is that of the mean of `(b - ratio a) / mean(a)`, to which the ratio is linear (Cochran, Sampling Techniques, 1977).
///
/// # Errors
/// If there are too few pairs.
pub fn ratio(a: &[f64], b: &[f64]) -> Result<Estimate, TooShort> {
    let sums = [a, b].map(|values| values.iter().sum::<f64>());
    if sums[0] <= 0.0 {
        // Nothing to relate to: only equal sums are the same.
        let residuals: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
        return difference(&residuals);
    }
    let ratio = sums[1] / sums[0];
    let scale = a.len() as f64 / sums[0];
    let residuals: Vec<f64> = a.iter().zip(b).map(|(a, b)| (b - ratio * a) * scale).collect();
    let mut estimate = difference(&residuals)?;
    estimate.value = ratio - 1.0;
    Ok(estimate)
}

/// The mean of differences, or of any values.
///
/// # Errors
/// If there are too few.
pub fn difference(values: &[f64]) -> Result<Estimate, TooShort> {
    let sections = sections(values.len())?;
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let batches = sections.map(|section| {
        let number = section.len() as f64;
        (values[section].iter().sum::<f64>() / number, number)
    });
    // Chance among few sections is not taken for certainty.
    Ok(Estimate::new(
        mean,
        Spread::of(&batches),
        (variance / count).sqrt(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_of_proportional_values_is_exact() {
        let a: Vec<f64> = (1..=400).map(f64::from).collect();
        let b: Vec<f64> = a.iter().map(|a| a * 1.1).collect();
        let estimate = ratio(&a, &b).unwrap();
        assert!((estimate.value - 0.1).abs() < 1e-12);
        let [low, high] = estimate.interval(0.9);
        assert!(high - low < 1e-9, "{low} {high}");
        assert_eq!(
            ratio(&vec![0.0; 400], &vec![0.0; 400]).unwrap().interval(0.9),
            [0.0, 0.0]
        );
        assert!(ratio(&a[..100], &b[..100]).is_err());
    }

    #[test]
    fn the_error_of_a_mean_is_at_least_that_of_independent_values() {
        // All sections have the same mean, by chance or by construction.
        let values: Vec<f64> = (0..400).map(|place| f64::from(place % 2)).collect();
        let [low, high] = difference(&values).unwrap().interval(0.9);
        let t = analyze::intervals::student::two_sided(0.9, 19).unwrap();
        let expected = t * (0.25 * 400.0 / 399.0 / 400.0_f64).sqrt();
        assert!((high - low - 2.0 * expected).abs() < 1e-12);
    }
}
