//! [`Sorted`]: values in order of time, sorted as a whole and by section, for quantiles with a jackknife error.

use analyze::intervals::Spread;

use super::sections::{SECTIONS, sections};
use super::{Estimate, TooShort};

/// A quantile needs this many values beyond it, one for each section: p95 needs 400 values, and p99 needs 2,000.
const VALUES_BEYOND_MIN: f64 = SECTIONS as f64;

/// The values of one series.
#[derive(Debug, Clone)]
pub struct Sorted {
    all: Vec<f64>,
    sections: Vec<Vec<f64>>,
}

impl Sorted {
    /// `values` are in order of time.
    ///
    /// # Errors
    /// If there are too few.
    pub fn new(values: &[f64]) -> Result<Self, TooShort> {
        let sorted = |values: &[f64]| {
            let mut values = values.to_vec();
            values.sort_unstable_by(f64::total_cmp);
            values
        };
        let sections = sections(values.len())?;
        Ok(Self {
            all: sorted(values),
            sections: sections.map(|section| sorted(&values[section])).to_vec(),
        })
    }

    /// All values in order of size.
    pub fn all(&self) -> &[f64] {
        &self.all
    }

    /// The quantile `q`: the smallest value that at least a share `q` of the values does not exceed.
    pub fn quantile(&self, q: f64) -> f64 {
        let rank = (q * self.all.len() as f64).ceil() as usize;
        self.all[rank.clamp(1, self.all.len()) - 1]
    }

    /// The same without the values of one section.
    fn quantile_without(&self, q: f64, section: usize) -> f64 {
        let removed = &self.sections[section];
        let left = self.all.len() - removed.len();
        let rank = ((q * left as f64).ceil() as usize).clamp(1, left);
        let is_below = |&value: &f64| {
            let up_to = |values: &[f64]| values.partition_point(|other| *other <= value);
            up_to(&self.all) - up_to(removed) < rank
        };
        let place = self.all.partition_point(is_below);
        self.all[place.min(self.all.len() - 1)]
    }
}

/// A sum of quantiles `q` of several series, each with its sign, such as those of B minus those of A. Section `k` of each series is
/// of the same time, so that what the series have in common cancels.
///
/// The error is that of the pseudo-values of a jackknife that leaves out one section at a time (Shao and Wu, Annals of Statistics 17,
/// 1989: it holds for quantiles if the section is much longer than the root of the number of values).
///
/// # Errors
/// If there are too few values.
pub fn sum(series: &[(&Sorted, f64)], q: f64) -> Result<Estimate, TooShort> {
    let share = q.min(1.0 - q);
    for (sorted, _) in series {
        let values = sorted.all.len();
        if share * (values as f64) < VALUES_BEYOND_MIN {
            return Err(TooShort {
                values: values as u64,
                needed: (VALUES_BEYOND_MIN / share).round() as u64,
            });
        }
    }
    Ok(sum_of_few(series, q))
}

/// The same whatever the number of values beyond the quantile. With few, the error is uncertain.
pub fn sum_of_few(series: &[(&Sorted, f64)], q: f64) -> Estimate {
    let of = |quantile: &dyn Fn(&Sorted) -> f64| {
        let signed = series.iter().map(|(sorted, sign)| sign * quantile(sorted));
        signed.sum::<f64>()
    };
    let value = of(&|sorted| sorted.quantile(q));
    let number = SECTIONS as f64;
    let pseudo: Vec<(f64, f64)> = (0..SECTIONS)
        .map(|section| {
            let without = of(&|sorted| sorted.quantile_without(q, section));
            (number * value - (number - 1.0) * without, 1.0)
        })
        .collect();
    Estimate::new(value, Spread::of(&pseudo), 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_quantile_without_a_section_is_that_of_the_rest(
            values in prop::collection::vec(0..50_u32, 200..300), q in 0.01..0.99_f64, section in 0..SECTIONS,
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let sorted = Sorted::new(&values).unwrap();
            let removed = sections(values.len()).unwrap()[section].clone();
            let mut rest: Vec<f64> = values[..removed.start].iter().chain(&values[removed.end..]).copied().collect();
            rest.sort_by(f64::total_cmp);
            let rank = (q * rest.len() as f64).ceil() as usize;
            prop_assert_eq!(sorted.quantile_without(q, section), rest[rank - 1]);
        }
    }

    #[test]
    fn what_two_series_have_in_common_cancels() {
        let a: Vec<f64> = (0..4_000_u32)
            .map(|place| f64::from(place.wrapping_mul(7_919) % 1_009))
            .collect();
        let b: Vec<f64> = a.iter().map(|a| a + 3.0).collect();
        let [a, b] = [&a, &b].map(|values| Sorted::new(values).unwrap());
        for q in [0.5, 0.95, 0.99] {
            let estimate = sum(&[(&b, 1.0), (&a, -1.0)], q).unwrap();
            assert_eq!(estimate.interval(0.9), [3.0, 3.0]);
        }
        assert_eq!(sum(&[(&a, 1.0)], 0.999).unwrap_err().needed, 20_000);
    }
}
