//! [`Replicated`]: intervals and comparisons from figures of further loads.
//!
//! Each placement is simulated with the same further loads (common random numbers), so that a difference of two placements varies
//! less than each of them.

use analyze::intervals::student;
use serde::Serialize;

use crate::evaluation::{Metric, Times};

/// Confidence level of intervals.
pub const LEVEL: f64 = 0.95;

/// A figure with its interval, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// Figures of one placement: of the recorded load, and of further ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replicated {
    pub times: Times,
    pub further: Vec<Times>,
}

impl Replicated {
    /// `is_recorded` states whether the first figures are from the recorded arrivals. Otherwise, the first load is as random as
    /// the others, and the mean over all loads is used.
    pub fn new(first: Times, further: Vec<Times>, is_recorded: bool) -> Self {
        let mut times = first;
        if !is_recorded {
            let count = further.len() as f64 + 1.0;
            for (place, time) in times.iter_mut().enumerate() {
                *time = (*time + further.iter().map(|other| other[place]).sum::<f64>()) / count;
            }
        }
        Self { times, further }
    }

    /// The interval of a figure. The standard deviation over further loads is its standard error (the bootstrap of Efron, Annals
    /// of Statistics 7, 1979), with Student's t. The relative error of the calibration widens the interval on both sides.
    pub fn interval(&self, metric: Metric, calibration_error: f64) -> Interval {
        let value = self.times[metric as usize];
        let values: Vec<f64> = self.further.iter().map(|times| times[metric as usize]).collect();
        let half = half(&values);
        Interval {
            value,
            low: ((value - half) * (1.0 - calibration_error)).max(0.0),
            high: (value + half) * (1.0 + calibration_error),
        }
    }

    /// This figure minus the same figure of another placement with the same loads. The error of the calibration counts as a share
    /// of the difference, because the error that both placements have in common cancels.
    pub fn difference(&self, other: &Self, metric: Metric, calibration_error: f64) -> Interval {
        let value = self.times[metric as usize] - other.times[metric as usize];
        let half = half(&self.differences(other, metric)) + value.abs() * calibration_error;
        Interval {
            value,
            low: value - half,
            high: value + half,
        }
    }

    fn differences(&self, other: &Self, metric: Metric) -> Vec<f64> {
        let both = self.further.iter().zip(&other.further);
        both.map(|(own, other)| own[metric as usize] - other[metric as usize])
            .collect()
    }
}

/// A lower bound for the probability that the first placement has the smallest figure: one minus the sum of the probabilities
/// that each other one is smaller (Bonferroni; Chen, Lin, Yücesan and Chick, Discrete Event Dynamic Systems 10, 2000).
/// Differences are normal, with the standard deviation over further loads and the error of the calibration. `None` without others
/// or further loads.
pub fn probability_first_is_best(
    placements: &[&Replicated],
    metric: Metric,
    calibration_error: f64,
) -> Option<f64> {
    let (first, others) = placements.split_first()?;
    if others.is_empty() || first.further.len() < 2 {
        return None;
    }
    let model = first.times[metric as usize] * calibration_error;
    let is_smaller = others.iter().map(|other| {
        let difference = other.times[metric as usize] - first.times[metric as usize];
        let error = deviation(&other.differences(first, metric)).hypot(model);
        match error > 0.0 {
            true => normal_below(-difference / error),
            false if difference == 0.0 => 0.5,
            false => 0.0,
        }
    });
    Some((1.0 - is_smaller.sum::<f64>()).max(0.0))
}

/// Half of the width of an interval, from the figures of further loads. It is infinite for fewer than two loads.
fn half(values: &[f64]) -> f64 {
    let degrees = u32::try_from(values.len().saturating_sub(1)).unwrap_or(u32::MAX);
    student::two_sided(LEVEL, degrees).map_or(f64::INFINITY, |reach| reach * deviation(values))
}

/// Standard deviation; 0 of fewer than two values.
fn deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (count - 1.0)).sqrt()
}

/// Probability that a standard normal value is below `x`: Abramowitz and Stegun, Handbook of Mathematical Functions (1964),
/// 26.2.17, whose error is below 1e-7.
fn normal_below(x: f64) -> f64 {
    const B: [f64; 5] = [
        0.319_381_530,
        -0.356_563_782,
        1.781_477_937,
        -1.821_255_978,
        1.330_274_429,
    ];
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let series = B.iter().rev().fold(0.0, |sum, b| (sum + b) * t);
    let density = (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
    let above = density * series;
    if x > 0.0 { 1.0 - above } else { above }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicated(value: f64, further: &[f64]) -> Replicated {
        Replicated {
            times: [value; 4],
            further: further.iter().map(|value| [*value; 4]).collect(),
        }
    }

    #[test]
    fn an_interval_has_the_spread_of_further_loads_and_the_calibration() {
        let found = replicated(10.0, &[9.0, 11.0, 9.0, 11.0]);
        let t = student::two_sided(0.95, 3).unwrap();
        let half = t * (4.0_f64 / 3.0).sqrt();
        let interval = found.interval(Metric::P95, 0.0);
        assert!((interval.low - (10.0 - half)).abs() < 1e-9 && (interval.high - (10.0 + half)).abs() < 1e-9);
        let wide = found.interval(Metric::P95, 0.1);
        assert!((wide.high - (10.0 + half) * 1.1).abs() < 1e-9 && wide.low < interval.low);
    }

    #[test]
    fn common_loads_cancel_in_a_difference() {
        let one = replicated(10.0, &[9.0, 11.0, 9.0, 11.0]);
        let other = replicated(9.0, &[8.0, 10.0, 8.0, 10.0]);
        let difference = one.difference(&other, Metric::P50, 0.0);
        assert_eq!(
            (difference.low, difference.value, difference.high),
            (1.0, 1.0, 1.0)
        );
    }

    #[test]
    fn the_first_is_best_by_the_probabilities_of_the_others() {
        let first = replicated(10.0, &[10.0, 10.0, 10.0]);
        // One standard deviation above, and the same again.
        let other = replicated(11.0, &[10.0, 11.0, 12.0]);
        let probability = |all: &[&Replicated]| probability_first_is_best(all, Metric::P95, 0.0);
        let one = probability(&[&first, &other]).unwrap();
        assert!((one - 0.841_344_7).abs() < 1e-6, "{one}");
        let two = probability(&[&first, &other, &other]).unwrap();
        assert!((two - (1.0 - 2.0 * 0.158_655_3)).abs() < 1e-6, "{two}");
        assert_eq!(probability(&[&first, &first]), Some(0.5));
        assert_eq!(probability(&[&first]), None);
    }
}
