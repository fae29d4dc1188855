//! [`Calibration`]: how well the simulator repeats the recorded responses in the recorded placement.

use serde::Serialize;

use crate::arrivals::Sample;
use crate::evaluation::{Metric, Times, evaluate, recorded_times};
use crate::surroundings::Surroundings;

/// Above this relative error, the simulator does not describe the run, and no placement of it is predicted. Predictions of p99
/// are useful up to about this error.
pub const ERROR_MAX: f64 = 0.20;
/// Errors up to this many milliseconds always count as good, because the scheduling of threads alone causes them.
pub const FLOOR_MS: f64 = 0.1;

/// Recorded and simulated root responses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    pub recorded: Times,
    pub simulated: Times,
}

/// One figure of the calibration, for people and programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibrated {
    pub metric: Metric,
    pub recorded_ms: f64,
    pub simulated_ms: f64,
    /// Simulated minus recorded, as a share of the recorded value.
    pub error: f64,
    pub is_good: bool,
}

impl Calibration {
    /// `recorded` are the surroundings of the recorded placement.
    pub fn new(sample: &Sample, recorded: &Surroundings) -> Self {
        Self {
            recorded: recorded_times(&sample.load),
            simulated: evaluate(&sample.load, &recorded.platform, sample.span_ns).times,
        }
    }

    /// The relative error of a figure, which widens the intervals of predictions. At least 0.
    pub fn error(&self, metric: Metric) -> f64 {
        let (recorded, simulated) = (self.recorded[metric as usize], self.simulated[metric as usize]);
        match recorded > 0.0 {
            true => (simulated - recorded).abs() / recorded,
            false => 0.0,
        }
    }

    fn is_good(&self, metric: Metric) -> bool {
        let difference = self.simulated[metric as usize] - self.recorded[metric as usize];
        difference.abs() <= FLOOR_MS || self.error(metric) <= ERROR_MAX
    }

    /// The reason why nothing is predicted, if the error of this figure is too large.
    pub fn refusal(&self, metric: Metric) -> Option<String> {
        let place = metric as usize;
        (!self.is_good(metric)).then(|| {
            format!(
                "the simulator does not describe the recorded run: its {} is {:.3} ms instead of {:.3} ms, more than {:.0}% off",
                metric.as_str(),
                self.simulated[place],
                self.recorded[place],
                100.0 * ERROR_MAX
            )
        })
    }

    /// All figures.
    pub fn figures(&self) -> Vec<Calibrated> {
        let of = |metric: Metric| {
            let (recorded_ms, simulated_ms) =
                (self.recorded[metric as usize], self.simulated[metric as usize]);
            Calibrated {
                metric,
                recorded_ms,
                simulated_ms,
                error: if recorded_ms > 0.0 {
                    simulated_ms / recorded_ms - 1.0
                } else {
                    0.0
                },
                is_good: self.is_good(metric),
            }
        };
        Metric::ALL.into_iter().map(of).collect()
    }
}
