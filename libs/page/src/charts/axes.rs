//! [`TimeAxis`] and [`ValueAxis`]: ticks at round values, and numbers as SVG writes them.

use crate::number::{Unit, without_zeros};

/// Maximum value in a chart. Larger values are drawn at this maximum, so that sums and steps of values stay finite.
pub(super) const VALUE_MAX: f64 = 1e18;
/// Maximum number of ticks of a time axis. Eight labels fit beside each other in 600 pixels.
const TIME_TICKS_MAX: f64 = 8.0;
/// Maximum number of intervals between the ticks of a vertical axis. The step is rounded up, so an axis has two to four.
const VALUE_STEPS: f64 = 4.0;
/// Round numbers of seconds for the distance between ticks, up to a day.
const ROUND_SECONDS: [f64; 19] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0, 7200.0,
    14_400.0, 43_200.0, 86_400.0,
];

/// A time axis from the start of a run, divided into buckets (intervals) of equal length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeAxis {
    pub buckets: usize,
    /// Width of a bucket in seconds.
    pub bucket_s: f64,
}

/// An event on the time axis, such as a placement.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Seconds since the start.
    pub at_s: f64,
    pub text: String,
}

/// A tick of an axis with its label.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// Position on the axis: 0 is its start, 1 is its end.
    pub at: f64,
    pub label: String,
}

impl TimeAxis {
    /// Seconds; 1 if the axis is empty or invalid.
    pub(super) fn length_s(&self) -> f64 {
        let length = self.buckets as f64 * self.bucket_s;
        match length.is_finite() && length > 0.0 {
            true => length.clamp(1e-9, VALUE_MAX),
            false => 1.0,
        }
    }

    /// The position of a time on the axis, from 0 to 1. `None` outside the axis.
    pub(super) fn place(&self, at_s: f64) -> Option<f64> {
        let place = at_s / self.length_s();
        (0.0..=1.0).contains(&place).then_some(place)
    }

    pub(super) fn ticks(&self) -> Vec<Tick> {
        let length = self.length_s();
        let step = round_time(length / TIME_TICKS_MAX);
        let steps = (length / step + 1e-9).floor() as usize;
        (0..=steps)
            .map(|index| {
                let seconds = index as f64 * step;
                Tick {
                    at: (seconds / length).min(1.0),
                    label: clock(seconds, length),
                }
            })
            .collect()
    }
}

/// Time since the start, in the form that fits the axis: `20 s`, `1:30`, `2:15 h`, `3 d`.
fn clock(seconds: f64, length_s: f64) -> String {
    let whole = seconds.round();
    match length_s {
        length if length < 120.0 => format!("{} s", trimmed(seconds, 9)),
        length if length < 7200.0 => format!("{}:{:02}", (whole / 60.0).floor(), whole % 60.0),
        length if length < 172_800.0 => {
            let minutes = (whole / 60.0).round();
            format!("{}:{:02} h", (minutes / 60.0).floor(), minutes % 60.0)
        }
        _ => format!("{} d", trimmed(seconds / 86_400.0, 1)),
    }
}

/// The smallest round number of seconds that is at least `least`.
fn round_time(least: f64) -> f64 {
    let is_enough = |step: &&f64| **step >= least;
    match least {
        least if least <= 0.5 => round_decimal(least),
        least => ROUND_SECONDS
            .iter()
            .find(is_enough)
            .copied()
            .unwrap_or_else(|| round_decimal(least / 86_400.0) * 86_400.0),
    }
}

/// The smallest number of the form 1, 2 or 5 times a power of ten that is at least `least`.
fn round_decimal(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * (1.0 - 1e-9))
        .unwrap_or(power * 10.0)
}

/// A linear axis of values from zero.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ValueAxis {
    pub max: f64,
    pub ticks: Vec<Tick>,
}

impl ValueAxis {
    /// An axis for values from 0 to `max`.
    pub fn new(max: f64, unit: Unit) -> Self {
        Self::with_steps(max, unit, VALUE_STEPS)
    }

    /// Like [`ValueAxis::new`], with at most `steps` intervals between ticks.
    pub fn with_steps(max: f64, unit: Unit, steps: f64) -> Self {
        let max = match max.is_finite() && max > 0.0 {
            true => max.clamp(1e-9, VALUE_MAX),
            false => 1.0,
        };
        let step = match unit {
            Unit::Nanoseconds if max > 60e9 => round_time(max / steps / 1e9) * 1e9,
            _ => round_decimal(max / steps),
        };
        let count = (max / step - 1e-9).ceil().max(1.0);
        let ticks = (0..=count as usize).map(|index| Tick {
            at: index as f64 / count,
            label: tick_label(index as f64 * step, unit),
        });
        Self {
            max: step * count,
            ticks: ticks.collect(),
        }
    }

    /// The position of a value on the axis, from 0 to 1: 0 for negative values, 1 for values above the axis' end.
    pub fn place(&self, value: f64) -> f64 {
        (value / self.max).clamp(0.0, 1.0)
    }
}

/// A round value, without zeros at the end of its decimals: `1.5 ms`.
pub(super) fn tick_label(value: f64, unit: Unit) -> String {
    let text = unit.format(value);
    let is_in_number = |c: char| c.is_ascii_digit() || c == '.';
    let end = text.find(|c| !is_in_number(c)).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    format!("{}{rest}", without_zeros(number))
}

/// A coordinate with one decimal. A value that is not finite becomes zero.
pub(super) fn coordinate(value: f64) -> String {
    match value.is_finite() {
        true => trimmed(value.clamp(-VALUE_MAX, VALUE_MAX), 1),
        false => "0".to_owned(),
    }
}

/// A position from 0 to 1 as a percentage of a width.
pub(super) fn percentage(place: f64) -> String {
    match place.is_finite() {
        true => trimmed(place.clamp(0.0, 1.0) * 100.0, 2) + "%",
        false => "0".to_owned(),
    }
}

/// The number with at most `decimals` decimals, without zeros at the end.
fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match without_zeros(&text) {
        "-0" => "0".to_owned(),
        short => short.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time_labels(buckets: usize, bucket_s: f64) -> Vec<String> {
        let axis = TimeAxis { buckets, bucket_s };
        axis.ticks().into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn time_ticks_are_round_and_named_by_the_axis_length() {
        assert_eq!(
            time_labels(10, 0.1),
            ["0 s", "0.2 s", "0.4 s", "0.6 s", "0.8 s", "1 s"]
        );
        assert_eq!(
            time_labels(60, 1.0),
            ["0 s", "10 s", "20 s", "30 s", "40 s", "50 s", "60 s"]
        );
        assert_eq!(
            time_labels(60, 5.0),
            ["0:00", "1:00", "2:00", "3:00", "4:00", "5:00"]
        );
        assert_eq!(
            time_labels(90, 100.0),
            [
                "0:00 h", "0:20 h", "0:40 h", "1:00 h", "1:20 h", "1:40 h", "2:00 h", "2:20 h"
            ]
        );
        assert_eq!(
            time_labels(5, 86_400.0),
            ["0 d", "1 d", "2 d", "3 d", "4 d", "5 d"]
        );
        for (buckets, bucket_s) in [
            (0, 1.0),
            (3, f64::NAN),
            (3, -1.0),
            (usize::MAX, f64::MAX),
            (1, 1e-300),
        ] {
            assert!(time_labels(buckets, bucket_s).len() <= 10, "{buckets} {bucket_s}");
        }
    }

    #[test]
    fn value_axes_end_at_a_round_value() {
        let labels = |max, unit| {
            let axis = ValueAxis::new(max, unit);
            axis.ticks.into_iter().map(|tick| tick.label).collect::<Vec<_>>()
        };
        assert_eq!(labels(7.3, Unit::Count), ["0", "2", "4", "6", "8"]);
        assert_eq!(labels(1.9, Unit::Count), ["0", "0.5", "1", "1.5", "2"]);
        assert_eq!(
            labels(1.9e9, Unit::Bytes),
            ["0 B", "500 MB", "1 GB", "1.5 GB", "2 GB"]
        );
        assert_eq!(labels(0.93, Unit::Share), ["0%", "50%", "100%"]);
        assert_eq!(
            labels(3_100_000.0, Unit::Nanoseconds),
            ["0", "1 ms", "2 ms", "3 ms", "4 ms"]
        );
        assert_eq!(labels(300e9, Unit::Nanoseconds), ["0", "2 min", "4 min", "6 min"]);
        for max in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE] {
            let axis = ValueAxis::new(max, Unit::Count);
            assert!(
                axis.max.is_finite() && axis.max > 0.0 && axis.ticks.len() <= 7,
                "{axis:?}"
            );
        }
    }

    #[test]
    fn coordinates_have_one_decimal() {
        let texts = [1.0, 2.25, -0.01, 1e-9, f64::NAN, f64::INFINITY].map(coordinate);
        assert_eq!(texts, ["1", "2.2", "0", "0", "0", "0"]);
        assert_eq!([0.5, 1.0 / 3.0, 7.0].map(percentage), ["50%", "33.33%", "100%"]);
    }
}
