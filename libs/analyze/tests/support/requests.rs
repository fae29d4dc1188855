//! Simulated requests at a queue whose rates, shares and averages are known, for tests and for the example that measures coverage.

use analyze::intervals::{Interval, NoInterval, RunLength};
use analyze::stats::arrivals::Arrivals;
use analyze::stats::cells;
use analyze::stats::figures::{Sums, Time};
use analyze::stats::load::{self, Load, LoadBuckets, LoadIntervals, Source};
use analyze::stats::row::InvocationRow;
use analyze::stats::window::Bounds;

use crate::random::Random;

/// Mean service time in nanoseconds: 1 ms.
const SERVICE_NS: f64 = 1e6;
const NS_PER_S: f64 = 1e9;
/// Share of the service time that is CPU time.
const CPU_SHARE: f64 = 0.4;
const BYTES_MEAN: f64 = 10_000.0;
/// Mean number of arrivals between two changes of the rate and of the errors.
const SOJOURN: f64 = 50.0;

/// The kind of arrivals at a queue with one slot and exponential service times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arriving {
    /// Poisson arrivals. Each request fails with the same probability.
    Poisson { errors: f64 },
    /// Intervals are independent. They are drawn from two exponential distributions that cover equal parts of the time, so
    /// their coefficient of variation is 2.
    Varied,
    /// The rate alternates between 0.2 and 1.8 of its mean, and the share of failed requests between 1% and 10%.
    Bursts,
}

/// Arrivals in mean service times, and for each whether the request fails.
struct Requests<'r> {
    random: &'r mut Random,
    rate: f64,
    arriving: Arriving,
    is_high: bool,
    /// Remaining time until the rate changes.
    left: f64,
}

impl<'r> Requests<'r> {
    fn new(random: &'r mut Random, rate: f64, arriving: Arriving) -> Self {
        let is_high = random.uniform() < 0.5;
        let left = random.exponential(SOJOURN / rate);
        Self {
            random,
            rate,
            arriving,
            is_high,
            left,
        }
    }

    fn gap(&mut self) -> f64 {
        let mean = 1.0 / self.rate;
        match self.arriving {
            Arriving::Poisson { .. } => self.random.exponential(mean),
            Arriving::Varied => {
                // Hyperexponential distribution with balanced means: a share p of the intervals has the mean 1 / (2 p rate).
                // cv^2 = 1 / (2 p (1 - p)) - 1 = 4.
                let share = (1.0 - (0.6_f64).sqrt()) / 2.0;
                let part = if self.random.uniform() < share {
                    share
                } else {
                    1.0 - share
                };
                self.random.exponential(mean / (2.0 * part))
            }
            Arriving::Bursts => {
                let mut gap = 0.0;
                loop {
                    let factor = if self.is_high { 1.8 } else { 0.2 };
                    let next = self.random.exponential(mean / factor);
                    if next <= self.left {
                        self.left -= next;
                        return gap + next;
                    }
                    gap += self.left;
                    self.is_high = !self.is_high;
                    self.left = self.random.exponential(SOJOURN * mean);
                }
            }
        }
    }

    fn fails(&mut self) -> bool {
        let share = match self.arriving {
            Arriving::Poisson { errors } => errors,
            Arriving::Varied => 0.05,
            Arriving::Bursts if self.is_high => 0.1,
            Arriving::Bursts => 0.01,
        };
        self.random.uniform() < share
    }
}

/// The exact figure. `None` if there is no formula for it.
fn truth(load: Load, rho: f64, arriving: Arriving) -> Option<f64> {
    let is_poisson = matches!(arriving, Arriving::Poisson { .. });
    Some(match load {
        Load::Rate => rho * NS_PER_S / SERVICE_NS,
        Load::Variation => match arriving {
            Arriving::Poisson { .. } => 1.0,
            Arriving::Varied => 2.0,
            Arriving::Bursts => return None,
        },
        Load::ErrorShare => match arriving {
            Arriving::Poisson { errors } => errors,
            Arriving::Varied => 0.05,
            // Weighted by the shares of arrivals, 0.9 and 0.1.
            Arriving::Bursts => 0.9 * 0.1 + 0.1 * 0.01,
        },
        Load::Concurrency if is_poisson => rho / (1.0 - rho),
        Load::Concurrency => return None,
        Load::Utilisation => rho,
        Load::CpuShare => CPU_SHARE,
        Load::BytesIn => BYTES_MEAN,
        Load::BytesOut => return None,
    })
}

/// The recorded data of a run.
pub struct Recorded {
    sums: Sums,
    buckets: LoadBuckets,
    enqueued: Vec<i64>,
    bounds: Bounds,
}

impl Recorded {
    pub fn new() -> Self {
        Self {
            sums: Sums::default(),
            buckets: LoadBuckets::default(),
            enqueued: Vec::new(),
            bounds: Bounds {
                begin: i64::MAX,
                end: i64::MIN,
            },
        }
    }

    pub fn add(&mut self, row: &InvocationRow<'_>) {
        cells::add(&mut self.sums, row);
        load::add(&mut self.buckets, row, 0);
        self.enqueued.push(row.ts_enqueue);
        self.bounds.begin = self.bounds.begin.min(row.ts_start);
        self.bounds.end = self.bounds.end.max(row.ts_end);
    }

    pub fn intervals(&self, length: RunLength, slots: &dyn Fn(Bounds) -> Option<u128>) -> LoadIntervals {
        let mut arrivals = Arrivals::new(1);
        let enqueued = self.enqueued.iter().map(|&at| (at, 0));
        arrivals.extend(enqueued, |_| [0], |_, _| true);
        let gaps = arrivals.finish(|_| [0], |_, _| true).remove(0).remove(0);
        let source = Source {
            sums: &self.sums,
            gaps: &gaps,
            buckets: &self.buckets,
            bounds: self.bounds,
            origin: 0,
            length,
            busy_ns: self.sums.of(Time::Service).sum_ns,
            slots,
        };
        source.intervals()
    }
}

/// There is one slot during the whole time.
pub fn one_slot(bounds: Bounds) -> Option<u128> {
    Some(u128::from(bounds.end.abs_diff(bounds.begin)))
}

/// One run: the true values and the intervals of all figures whose true value is known. The run counts as long enough.
pub fn run(
    random: &mut Random,
    rho: f64,
    arriving: Arriving,
    number: usize,
) -> Vec<(Load, f64, Result<Interval, NoInterval>)> {
    let mut recorded = Recorded::new();
    let is_busy = random.uniform() < rho;
    // With Poisson arrivals, the first waiting time has the stationary distribution. Other arrivals reach it during the run.
    let mut wait = if is_busy {
        random.exponential(1.0 / (1.0 - rho))
    } else {
        0.0
    };
    let mut at = 0.0;
    let ns = |time: f64| (time * SERVICE_NS) as i64;
    let known = |time: f64| Some((time * SERVICE_NS) as u64);
    let mut requests = Requests::new(random, rho, arriving);
    for _ in 0..number {
        let service = requests.random.exponential(1.0);
        let cpu = service * CPU_SHARE * 2.0 * requests.random.uniform();
        recorded.add(&InvocationRow {
            ts_enqueue: ns(at),
            ts_start: ns(at + wait),
            ts_end: ns(at + wait + service),
            times: [
                known(wait),
                known(service),
                known(wait + service),
                known(cpu),
                None,
            ],
            bytes_in: Some(requests.random.exponential(BYTES_MEAN) as u64),
            is_error: requests.fails(),
            ..InvocationRow::default()
        });
        let gap = requests.gap();
        at += gap;
        wait = (wait + service - gap).max(0.0);
    }
    let found = recorded.intervals(RunLength::Relaxations(f64::INFINITY), &one_slot);
    let known = Load::ALL.into_iter().zip(found);
    known
        .filter_map(|(load, found)| Some((load, truth(load, rho, arriving)?, found?)))
        .collect()
}
