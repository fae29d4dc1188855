//! [`ratio`], [`difference`] and [`Sums`]: means of values in order of time. The error follows from the means of sections.
//! [`of`]: a plain mean.

use analyze::intervals::Spread;

use super::sections::{SECTIONS, sections};
use super::{Estimate, TooShort};

/// The mean. `None` without values.
pub fn of(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The relative difference of two sums of paired values, `sum(b) / sum(a) - 1`.
///
/// Its error is that of the mean of `(b - ratio a) / mean(a)`, the linear approximation of the ratio (Cochran, Sampling
/// Techniques, 1977).
///
/// # Errors
/// If there are too few pairs.
pub fn ratio(a: &[f64], b: &[f64]) -> Result<Estimate, TooShort> {
    let sums = [a, b].map(|values| values.iter().sum::<f64>());
    if sums[0] <= 0.0 {
        // If the values of A are all 0, there is no ratio, so the differences are used.
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

/// The mean of `values`, such as differences.
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
    // With few sections, equal means can be chance. So the error is at least that of independent values.
    Ok(Estimate::new(
        mean,
        Spread::of(&batches),
        (variance / count).sqrt(),
    ))
}

/// Values in order of time, most of which are 0. Only sums are stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    number: usize,
    sections: [f64; SECTIONS],
    squares: f64,
    /// Number of values that are not 0, and the smallest and largest of them.
    others: usize,
    range: [f64; 2],
}

impl Sums {
    /// A series of this many zeros.
    pub fn new(number: usize) -> Self {
        Self {
            number,
            sections: [0.0; SECTIONS],
            squares: 0.0,
            others: 0,
            range: [f64::INFINITY, f64::NEG_INFINITY],
        }
    }

    /// Replaces a 0 by another value. It may be called at most once for each place.
    pub fn add(&mut self, place: usize, value: f64) {
        // The section that contains the place, with the same borders as in `sections`.
        let section = (SECTIONS * (place + 1) - 1) / self.number.max(1);
        self.sections[section.min(SECTIONS - 1)] += value;
        self.squares += value * value;
        self.others += 1;
        self.range = [self.range[0].min(value), self.range[1].max(value)];
    }

    pub fn number(&self) -> usize {
        self.number
    }

    pub fn mean(&self) -> f64 {
        self.sections.iter().sum::<f64>() / self.number.max(1) as f64
    }

    /// Whether all values are the same.
    pub fn is_constant(&self) -> bool {
        self.others == 0 || (self.others == self.number && self.range[0] == self.range[1])
    }

    /// The mean, with the same result as [`difference`].
    ///
    /// # Errors
    /// If there are too few values.
    pub fn estimate(&self) -> Result<Estimate, TooShort> {
        let sections = sections(self.number)?;
        let (count, mean) = (self.number as f64, self.mean());
        let variance = ((self.squares - count * mean * mean) / (count - 1.0)).max(0.0);
        let batches: Vec<(f64, f64)> = sections
            .iter()
            .zip(self.sections)
            .map(|(section, sum)| (sum / section.len() as f64, section.len() as f64))
            .collect();
        Ok(Estimate::new(
            mean,
            Spread::of(&batches),
            (variance / count).sqrt(),
        ))
    }
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
    fn sums_give_the_mean_of_all_values() {
        for number in [200, 213, 4_001] {
            let value =
                |place: usize| f64::from(u8::from(place.is_multiple_of(7))) + f64::from(u8::from(place < 90));
            let values: Vec<f64> = (0..number).map(value).collect();
            let mut sums = Sums::new(number);
            for (place, value) in values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
                sums.add(place, *value);
            }
            let (of_sums, of_values) = (sums.estimate().unwrap(), difference(&values).unwrap());
            assert!((of_sums.value - of_values.value).abs() < 1e-12);
            for level in [0.5, 0.9] {
                let [a, b] = [&of_sums, &of_values].map(|estimate| estimate.interval(level));
                assert!(
                    (a[0] - b[0]).abs() < 1e-9 && (a[1] - b[1]).abs() < 1e-9,
                    "{a:?} {b:?}"
                );
            }
            assert!(!sums.is_constant() && Sums::new(3).is_constant());
        }
        assert!(Sums::new(199).estimate().is_err());
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
