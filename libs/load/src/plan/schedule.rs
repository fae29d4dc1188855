//! Send times as offsets from the start. They depend only on rate, duration, arrivals and seed.

use std::time::Duration;

use crate::plan::random::SplitMix64;

/// Distribution of the times between requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// Equal times of 1/rate.
    Constant,
    /// Exponentially distributed times with mean 1/rate, as from independent users.
    Poisson,
}

/// Maximum rate, requests per second. Beyond it, nanoseconds are too coarse to separate requests.
pub const RATE_MAX: f64 = 1_000_000.0;
pub const DURATION_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

const NS_PER_S: f64 = 1e9;

/// An arrival process. The same values give the same offsets.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Mean requests per second, above 0 and at most [`RATE_MAX`].
    pub rate: f64,
    /// Offsets lie in `[0, duration)`.
    pub duration: Duration,
    pub arrivals: Arrivals,
    /// Seed of random arrivals.
    pub seed: u64,
}

impl Schedule {
    /// Expected number of requests: exact for constant arrivals, the mean for Poisson.
    pub fn expected_count(&self) -> u64 {
        // The subtraction corrects rounding errors: 0.1 * 30 = 3.0000000000000004 must not give a fourth request.
        (self.rate * self.duration.as_secs_f64() - 1e-6).ceil().max(0.0) as u64
    }

    /// The offsets from the start in nanoseconds, in ascending order.
    pub fn offsets_ns(&self) -> Offsets {
        Offsets {
            gap_ns: NS_PER_S / self.rate,
            end_ns: u64::try_from(self.duration.as_nanos()).unwrap_or(u64::MAX),
            index: 0,
            count: self.expected_count(),
            random: (self.arrivals == Arrivals::Poisson).then(|| SplitMix64::new(self.seed)),
            offset_ns: 0.0,
        }
    }
}

/// Iterator over a schedule's offsets, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Offsets {
    gap_ns: f64,
    end_ns: u64,
    index: u64,
    count: u64,
    random: Option<SplitMix64>,
    offset_ns: f64,
}

impl Iterator for Offsets {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        match &mut self.random {
            Some(random) => {
                self.offset_ns += -random.next_unit().ln() * self.gap_ns;
                let offset = self.offset_ns as u64;
                (offset < self.end_ns).then_some(offset)
            }
            None => {
                // Computed from the index, because a sum of times would accumulate rounding errors.
                let offset = (self.index as f64 * self.gap_ns) as u64;
                let within = self.index < self.count;
                self.index += 1;
                within.then_some(offset)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(rate: f64, duration: Duration, arrivals: Arrivals, seed: u64) -> Schedule {
        Schedule {
            rate,
            duration,
            arrivals,
            seed,
        }
    }

    #[test]
    fn forty_a_second_for_twenty_seconds_is_eight_hundred_at_exact_places() {
        let offsets: Vec<u64> = schedule(40.0, Duration::from_secs(20), Arrivals::Constant, 0)
            .offsets_ns()
            .collect();
        assert_eq!(offsets.len(), 800);
        assert!(
            offsets
                .iter()
                .enumerate()
                .all(|(index, offset)| *offset == index as u64 * 25_000_000)
        );
    }

    #[test]
    fn the_same_seed_repeats_poisson_arrivals_and_another_does_not() {
        let offsets = |seed| -> Vec<u64> {
            schedule(100.0, Duration::from_secs(2), Arrivals::Poisson, seed)
                .offsets_ns()
                .collect()
        };
        assert_eq!(offsets(1), offsets(1));
        assert_ne!(offsets(1), offsets(2));
    }

    #[test]
    fn poisson_gaps_have_mean_and_deviation_of_one_over_the_rate() {
        let offsets: Vec<u64> = schedule(1000.0, Duration::from_secs(100), Arrivals::Poisson, 3)
            .offsets_ns()
            .collect();
        let gaps: Vec<f64> = offsets
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as f64 / 1e6)
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((mean - 1.0).abs() < 0.02, "mean gap {mean} ms");
        assert!(
            (variance.sqrt() - 1.0).abs() < 0.03,
            "deviation {} ms",
            variance.sqrt()
        );
    }

    proptest! {
        #[test]
        fn offsets_never_decrease_and_stay_inside_the_duration(
            rate in 0.1f64..50_000.0, ms in 1u64..3_000, seed: u64, poisson: bool,
        ) {
            let arrivals = if poisson { Arrivals::Poisson } else { Arrivals::Constant };
            let schedule = schedule(rate, Duration::from_millis(ms), arrivals, seed);
            let offsets: Vec<u64> = schedule.offsets_ns().collect();
            prop_assert!(offsets.windows(2).all(|pair| pair[0] <= pair[1]));
            prop_assert!(offsets.iter().all(|offset| *offset < ms * 1_000_000));
            if !poisson {
                prop_assert_eq!(offsets.len() as u64, schedule.expected_count());
                prop_assert!((offsets.len() as f64 - rate * ms as f64 / 1e3).abs() <= 1.0);
            }
        }

        #[test]
        fn constant_offsets_do_not_drift(rate in 0.1f64..50_000.0, index in 0usize..20_000) {
            let duration = Duration::from_secs_f64((index as f64 + 2.0) / rate);
            prop_assume!(duration < DURATION_MAX);
            let offset = schedule(rate, duration, Arrivals::Constant, 0).offsets_ns().nth(index);
            let exact = index as f64 * 1e9 / rate;
            prop_assert!(offset.is_some_and(|offset| (offset as f64 - exact).abs() <= 1.0));
        }
    }
}
