//! The length of a run in relaxation times of its queue, and whether this is enough for an interval. A relaxation time is the
//! time in which a queue forgets its state.

use super::interval::NoInterval;

/// Minimum length of a run in relaxation times. In shorter runs, intervals of waits contain the true value too rarely
/// (docs/statistics.md).
pub const RELAXATIONS_MIN: f64 = 200.0;
/// Minimum effective sample size if the queue is unknown. In M/M/1, 200 relaxation times are as informative as 77, 120 and 174
/// independent waits at a utilization of 0.3, 0.5 and 0.8.
const EFFECTIVE_MIN: f64 = 100.0;

/// The length of a run in relation to a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RunLength {
    /// Length in relaxation times of the queue from which the values come.
    Relaxations(f64),
    /// The queue is unknown, so the dependence is estimated from the values themselves. This cannot detect a dependence that
    /// lasts longer than the run. For waits, use [`RunLength::of_queue`].
    Unknown,
}

impl RunLength {
    /// The length of `duration` for the waits at a station with `slots` parallel slots. `utilization` is the busy share of the
    /// slots, from 0 to 1. `duration` and `mean_service` have the same unit. An overloaded queue has no steady state, so a run
    /// always has the length 0 for it.
    ///
    /// Source: the spectral gap of M/M/c is (sqrt(c mu) - sqrt(lambda))^2 unless the utilization is low. It is at most mu (van
    /// Doorn, Advances in Applied Probability 17, 1985, pages 514 to 530). For one slot its inverse is (1 - sqrt(rho))^-2 mean
    /// service times.
    pub fn of_queue(duration: f64, utilization: f64, mean_service: f64, slots: u32) -> Self {
        let is_known = duration.is_finite() && utilization >= 0.0 && mean_service.is_finite() && slots > 0;
        if !is_known || duration <= 0.0 || mean_service < 0.0 {
            return Self::Unknown;
        }
        if utilization >= 1.0 {
            return Self::Relaxations(0.0);
        }
        let services = ((1.0 - utilization.sqrt()).powi(-2) / f64::from(slots)).max(1.0);
        Self::Relaxations(duration / (services * mean_service))
    }

    /// Checks whether the run is long enough for its queue. If the queue is unknown, the check passes.
    pub(super) fn check(self) -> Result<(), NoInterval> {
        match self {
            Self::Relaxations(relaxations) if relaxations.is_nan() || relaxations < RELAXATIONS_MIN => {
                Err(NoInterval::TooShort { relaxations })
            }
            _ => Ok(()),
        }
    }

    /// Checks whether the effective sample size is large enough if the queue is unknown.
    pub(super) fn check_size(self, size: f64) -> Result<(), NoInterval> {
        if self == Self::Unknown && size < EFFECTIVE_MIN {
            let needed = EFFECTIVE_MIN;
            return Err(NoInterval::TooDependent { size, needed });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_measured_in_relaxation_times() {
        let relaxations = |utilization, slots| match RunLength::of_queue(25_000.0, utilization, 1.0, slots) {
            RunLength::Relaxations(count) => count.round(),
            RunLength::Unknown => f64::NAN,
        };
        assert_eq!(relaxations(0.8, 1), 279.0);
        assert_eq!(relaxations(0.8, 4), 1115.0);
        // With little load, the relaxation time is one service time.
        assert_eq!(relaxations(0.0, 4), 25_000.0);
        for overload in [1.0, 1.5, f64::INFINITY] {
            assert_eq!(relaxations(overload, 1), 0.0);
        }
    }

    #[test]
    fn figures_that_are_not_known_give_no_length() {
        for (duration, utilization, service, slots) in [
            (0.0, 0.5, 1.0, 1),
            (f64::NAN, 0.5, 1.0, 1),
            (1.0, f64::NAN, 1.0, 1),
            (1.0, 0.5, f64::NAN, 1),
            (1.0, 0.5, 1.0, 0),
        ] {
            assert_eq!(
                RunLength::of_queue(duration, utilization, service, slots),
                RunLength::Unknown
            );
        }
    }
}
