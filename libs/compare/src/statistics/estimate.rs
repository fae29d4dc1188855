//! [`Estimate`]: a difference of two runs, with its error.

use analyze::intervals::Spread;

/// Number of bisections of the range of levels; more than the 53 bits of a double need.
const BISECTIONS: u32 = 60;

/// A difference. Its error has one part for paired values, and two independent parts for two independent runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    pub value: f64,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    spread: Spread,
    /// Whether the part is subtracted.
    is_negative: bool,
    /// The standard error. It is at least the error of independent values.
    standard_error: f64,
}

/// Maximum number of requests to advise. A greater number would not help anybody.
pub const NEEDED_MAX: u64 = 1_000_000_000;
/// Stands for a run that would not be long enough with any number of requests.
pub const NEVER: u64 = u64::MAX;

/// Error: there are too few values for an interval.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{}", self.cause())]
pub struct TooShort {
    pub values: u64,
    /// Number of requests needed; [`NEVER`] for a queue that has no steady state.
    pub needed: u64,
}

impl TooShort {
    /// The number of requests to advise, if it is not too large.
    pub fn advice(&self) -> Option<u64> {
        (self.needed <= NEEDED_MAX).then_some(self.needed)
    }

    fn cause(&self) -> String {
        let Self { values, needed } = self;
        match *needed {
            NEVER => "the slots are busy for longer than the requests arrive, so the queue never settles"
                .to_owned(),
            NEEDED_MAX.. => format!("too short: {values} requests of more than {NEEDED_MAX} needed"),
            _ => format!("too short: {values} requests of {needed} needed"),
        }
    }
}

impl Estimate {
    /// A difference with the spread of its section means.
    pub(super) fn new(value: f64, spread: Spread, error_min: f64) -> Self {
        let part = Part {
            spread,
            is_negative: false,
            standard_error: spread.standard_error.max(error_min),
        };
        Self {
            value,
            parts: vec![part],
        }
    }

    /// The estimate of this run minus the estimate of another, independent run.
    #[must_use]
    pub fn minus(mut self, other: Self) -> Self {
        self.value -= other.value;
        self.parts.extend(other.parts.into_iter().map(|part| Part {
            is_negative: !part.is_negative,
            ..part
        }));
        self
    }

    /// The estimate in another unit.
    #[must_use]
    pub fn times(mut self, factor: f64) -> Self {
        self.value *= factor;
        for part in &mut self.parts {
            part.standard_error *= factor.abs();
            part.is_negative ^= factor < 0.0;
        }
        self
    }

    /// The estimate with its errors multiplied by `factor`.
    #[must_use]
    pub fn widened(mut self, factor: f64) -> Self {
        for part in &mut self.parts {
            part.standard_error *= factor;
        }
        self
    }

    /// The interval that covers the true difference in a share `level` of all pairs of runs.
    ///
    /// The ends of independent parts are combined as in Zou and Donner, Statistics in Medicine 27 (2008). On each side, the
    /// distance from the difference is the root of the sum of the squares of the parts' distances.
    pub fn interval(&self, level: f64) -> [f64; 2] {
        let mut squares = [0.0; 2];
        for part in &self.parts {
            // This fails only for an invalid level.
            let (below, above) = part.spread.reach(level).unwrap_or((f64::INFINITY, f64::INFINITY));
            let sides = if part.is_negative {
                [above, below]
            } else {
                [below, above]
            };
            for (square, side) in squares.iter_mut().zip(sides) {
                // A part without any error keeps none, even at an infinite factor.
                if part.standard_error > 0.0 {
                    *square += (side * part.standard_error).powi(2);
                }
            }
        }
        [self.value - squares[0].sqrt(), self.value + squares[1].sqrt()]
    }

    /// Probability that chance gives a difference at least this far outside the margin, if the true difference is at the
    /// margin's edge. 1 if the difference is inside.
    pub fn p_outside(&self, margin: f64) -> f64 {
        if self.value.abs() <= margin {
            return 1.0;
        }
        let is_outside = |level: f64| {
            let [low, high] = self.interval(level);
            low > margin || high < -margin
        };
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..BISECTIONS {
            let middle = f64::midpoint(low, high);
            if middle <= low || middle >= high {
                break;
            }
            if is_outside(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        (1.0 - low) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use analyze::intervals::student;

    fn estimate(value: f64) -> Estimate {
        let batches: Vec<(f64, f64)> = (0..20).map(|place| (f64::from(place % 2), 10.0)).collect();
        Estimate::new(value, Spread::of(&batches), 0.0)
    }

    #[test]
    fn an_interval_has_the_level_of_student_and_scales() {
        let error = estimate(0.0).parts[0].standard_error;
        let t = student::two_sided(0.9, 19).unwrap();
        let [low, high] = estimate(2.0).interval(0.9);
        assert!((2.0 - low - t * error).abs() < 1e-9 && (high - 2.0 - t * error).abs() < 1e-9);
        let [scaled_low, scaled_high] = estimate(2.0).times(-3.0).interval(0.9);
        assert!((scaled_low + 3.0 * high).abs() < 1e-9 && (scaled_high + 3.0 * low).abs() < 1e-9);
    }

    #[test]
    fn the_errors_of_independent_runs_add_up_as_squares() {
        let one = estimate(3.0);
        let both = one.clone().minus(estimate(1.0));
        let width = |estimate: &Estimate| estimate.interval(0.9)[1] - estimate.value;
        assert_eq!(both.value, 2.0);
        assert!((width(&both) - width(&one) * 2_f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn the_p_value_is_where_the_interval_touches_the_margin() {
        let estimate = estimate(1.0);
        assert_eq!(estimate.p_outside(1.5), 1.0);
        let p = estimate.p_outside(0.7);
        assert!(p > 0.0 && p < 0.5, "{p}");
        let [low, _] = estimate.interval(1.0 - 2.0 * p);
        assert!((low - 0.7).abs() < 1e-6, "{low}");
        // Without any error, the smallest difference is certain.
        let exact = Estimate::new(1.0, Spread::of(&[(0.0, 1.0); 20]), 0.0);
        assert!(exact.p_outside(0.999) < 1e-9);
        assert_eq!(exact.interval(0.99), [1.0, 1.0]);
    }
}
