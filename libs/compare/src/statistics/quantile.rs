//! [`Sorted`]: values in order of time, sorted as a whole and within sections. They give quantiles with a jackknife error.

use analyze::intervals::Spread;

use super::sections::{SECTIONS, sections};
use super::{Estimate, TooShort};

/// Minimum number of values beyond a quantile: one for each section. So p95 needs 400 values, and p99 needs 2,000.
const VALUES_BEYOND_MIN: f64 = SECTIONS as f64;

/// Number of standard errors that chance exceeds in 5% of runs.
const NEAR: f64 = 2.0;
/// Relative tolerance for equal distances between values. Rounded times form a grid, but fractions of a millisecond have
/// rounding errors.
const GRID_TOLERANCE: f64 = 1e-3;

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

    /// All values, sorted by size.
    pub fn all(&self) -> &[f64] {
        &self.all
    }

    /// The quantile `q`: the smallest value that at least a share `q` of the values does not exceed.
    pub fn quantile(&self, q: f64) -> f64 {
        self.all[rank(q, self.all.len()) - 1]
    }

    /// Possible error of a quantile of rounded times: half of the distance to the next value. A jackknife does not show this
    /// error if all sections have the same quantile.
    ///
    /// It is 0 if there are so few values equal to the quantile that chance moves the quantile past them, because the jackknife
    /// then shows the error. On a grid, which comes from rounding, both neighbouring values count. Otherwise, a neighbour counts
    /// only if chance can reach that end of the equal values.
    fn resolution(&self, q: f64) -> f64 {
        let rank = rank(q, self.all.len());
        let value = self.all[rank - 1];
        let begin = self.all.partition_point(|other| *other < value);
        let end = self.all.partition_point(|other| *other <= value);
        let error = (self.all.len() as f64 * q * (1.0 - q)).sqrt();
        if ((end - begin) as f64) < error {
            return 0.0;
        }
        let below = begin.checked_sub(1).map_or(0.0, |place| value - self.all[place]);
        let above = self.all.get(end).map_or(0.0, |next| next - value);
        let is_grid = below > 0.0 && (below - above).abs() <= GRID_TOLERANCE * below;
        let is_near = |ranks: usize| is_grid || (ranks as f64) < NEAR * error;
        let gap = |gap: f64, ranks: usize| if is_near(ranks) { gap } else { 0.0 };
        gap(below, rank - 1 - begin).max(gap(above, end - rank)) / 2.0
    }

    /// The quantile without the values of one section.
    fn quantile_without(&self, q: f64, section: usize) -> f64 {
        let removed = &self.sections[section];
        let left = self.all.len() - removed.len();
        let rank = rank(q, left);
        let is_below = |&value: &f64| {
            let up_to = |values: &[f64]| values.partition_point(|other| *other <= value);
            up_to(&self.all) - up_to(removed) < rank
        };
        let place = self.all.partition_point(is_below);
        self.all[place.min(self.all.len() - 1)]
    }
}

/// The rank of the quantile `q` among `number` sorted values, from 1.
fn rank(q: f64, number: usize) -> usize {
    ((q * number as f64).ceil() as usize).clamp(1, number)
}

/// A signed sum of quantiles `q` of several series, such as B minus A. Section `k` of each series covers the same time, so
/// effects that are common to the series cancel.
///
/// The error comes from the pseudo-values of a jackknife that leaves out one section at a time. This is valid for quantiles if
/// a section is much longer than the root of the number of values (Shao and Wu, Annals of Statistics 17, 1989).
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

/// Like [`sum`], but with any number of values beyond the quantile. If there are few, the error is uncertain.
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
    let squares = series.iter().map(|(sorted, _)| sorted.resolution(q).powi(2));
    Estimate::new(value, Spread::of(&pseudo), squares.sum::<f64>().sqrt())
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

    /// Times in whole milliseconds, whose medians are 10.49 and 10.51 before they are rounded.
    #[test]
    fn medians_of_rounded_times_are_no_certain_difference() {
        let times = |seed: u32, median: f64| -> Vec<f64> {
            let spread =
                |place: u32| f64::from((place + seed).wrapping_mul(2_654_435_761) >> 12) / f64::from(1 << 20);
            (0..4_000)
                .map(|place| (median - 3.0 + 6.0 * spread(place)).round())
                .collect()
        };
        let mut distinct = 0;
        for pair in 0..20 {
            let [a, b] = [(2 * pair, 10.49), (2 * pair + 1, 10.51)]
                .map(|(seed, median)| Sorted::new(&times(seed * 10_007, median)).unwrap());
            let estimate = sum(&[(&b, 1.0), (&a, -1.0)], 0.5).unwrap();
            distinct += u32::from(estimate.value != 0.0);
            // The margin is 5 % of 10 ms.
            assert!(estimate.p_outside(0.5) > 0.05, "{estimate:?}");
        }
        assert!(distinct > 2, "{distinct}");
    }

    #[test]
    fn equal_times_far_from_the_end_of_their_block_are_certain() {
        // Half of the times are 5 ms and half are 15 ms: p95 is 15 ms, whatever chance does.
        let a: Vec<f64> = (0..1_000)
            .map(|place| f64::from(place % 2) * 10.0 + 5.0)
            .collect();
        let a = Sorted::new(&a).unwrap();
        assert_eq!(a.resolution(0.95), 0.0);
        assert_eq!(a.resolution(0.5), 5.0);
        // Waits that are 0 for most requests have a next value close by.
        let waits: Vec<f64> = (0..1_000_u32)
            .map(|place| f64::from(place.saturating_sub(501)) * 0.001)
            .collect();
        assert_eq!(Sorted::new(&waits).unwrap().resolution(0.5), 0.0005);
    }
}
