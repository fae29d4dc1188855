//! A simulated process with known CPU time for each request, for tests and for the example that measures accuracy.

use analyze::regression::{Accumulator, NoRegression, Regression};

use crate::random::Random;

const S: f64 = 1e9;
/// The resolution of the CPU clock of /proc, seconds.
const TICK_S: f64 = 0.01;
/// CPU time per second without requests, seconds.
pub const IDLE: f64 = 0.004;
/// Mean time for which a request waits after its CPU time, seconds.
const WAIT_S: f64 = 0.03;

/// The way in which the shares of the endpoints change.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mix {
    /// Every 5 to 25 s, the endpoints get other shares.
    Varied,
    /// The probabilities of the endpoints are constant. Only the total rate changes.
    Constant,
    /// The endpoints follow each other in a fixed order, as in the script of a user. Only the total rate changes.
    Turns,
}

/// A process and its load.
#[derive(Debug, Clone)]
pub struct Process {
    /// Mean CPU time of a request by endpoint, ms.
    pub burns_ms: Vec<f64>,
    pub mix: Mix,
    /// Number of samples. There is one per second.
    pub seconds: usize,
    /// Mean number of requests per second.
    pub rate: f64,
}

/// The observed data: samples of the cumulative CPU time in seconds, and requests by endpoint.
pub struct Observed {
    pub samples: Vec<(i64, f64)>,
    pub requests: Vec<(usize, i64, i64)>,
}

impl Process {
    pub fn run(&self, random: &mut Random) -> Observed {
        let times = sample_times(random, self.seconds);
        // For each sample, CPU seconds since the previous one.
        let mut used = vec![0.0; times.len()];
        let mut requests = Vec::new();
        let (mut now, mut until, mut turn) = (0.0, 0.0, 0);
        let (mut shares, mut rate) = (vec![1.0; self.burns_ms.len()], self.rate);
        while now < self.seconds as f64 {
            if now >= until {
                until = now + 5.0 + 20.0 * random.uniform();
                rate = self.rate * (0.4 + 1.2 * random.uniform());
                if self.mix == Mix::Varied {
                    shares
                        .iter_mut()
                        .for_each(|share| *share = random.exponential(1.0));
                }
            }
            now += random.exponential(1.0 / rate);
            let endpoint = match self.mix {
                Mix::Turns => turn % shares.len(),
                _ => choose(random, &shares),
            };
            turn += 1;
            // The coefficient of variation is 0.5.
            let burn = self.burns_ms[endpoint] / 1e3 * (0.5 + random.exponential(0.5));
            spend(&times, &mut used, now, now + burn);
            let end = now + burn + random.exponential(WAIT_S);
            requests.push((endpoint, (now * S) as i64, (end * S) as i64));
        }
        background(random, &times, &mut used);
        let mut sum = 0.0;
        let samples = times.iter().zip(used).map(|(&at, used)| {
            sum += used;
            ((at * S) as i64, (sum / TICK_S).floor() * TICK_S)
        });
        Observed {
            samples: samples.collect(),
            requests,
        }
    }
}

impl Observed {
    pub fn accumulate(&self) -> Accumulator {
        let mut process = Accumulator::default();
        for &(at, cpu_s) in &self.samples {
            process.add_sample(at, cpu_s);
        }
        for &(endpoint, start, end) in &self.requests {
            process.add_request(endpoint, start, end);
        }
        process
    }

    pub fn regression(&self) -> Result<Regression, NoRegression> {
        self.accumulate().finish()
    }
}

/// Times of samples: one per second, each some milliseconds late.
fn sample_times(random: &mut Random, seconds: usize) -> Vec<f64> {
    (0..=seconds)
        .map(|second| second as f64 + random.exponential(0.003))
        .collect()
}

fn choose(random: &mut Random, shares: &[f64]) -> usize {
    let mut left = random.uniform() * shares.iter().sum::<f64>();
    for (endpoint, share) in shares.iter().enumerate() {
        left -= share;
        if left < 0.0 {
            return endpoint;
        }
    }
    shares.len() - 1
}

/// Adds CPU time to the samples that follow it.
fn spend(times: &[f64], used: &mut [f64], from: f64, to: f64) {
    let mut from = from;
    let first = times.partition_point(|at| *at <= from);
    for (at, used) in times.iter().zip(used).skip(first) {
        *used += to.min(*at) - from;
        from = *at;
        if from >= to {
            return;
        }
    }
}

/// Adds CPU time without requests: the idle time, and a garbage collector that runs for 1 to 4 s every 20 s and uses 5% of a
/// CPU. So the residuals are not independent.
fn background(random: &mut Random, times: &[f64], used: &mut [f64]) {
    let mut busy_until = 0.0;
    let mut next = random.exponential(20.0);
    for (pair, used) in times.windows(2).zip(used.iter_mut().skip(1)) {
        let seconds = pair[1] - pair[0];
        *used += IDLE * seconds;
        if pair[0] >= next {
            busy_until = pair[0] + 1.0 + 3.0 * random.uniform();
            next = busy_until + random.exponential(20.0);
        }
        if pair[0] < busy_until {
            *used += 0.05 * seconds;
        }
    }
}
