//! Measures how often the intervals of a comparison contain the true difference, and prints the tables of docs/statistics.md.
//!
//! `cargo run --release -p cctf-compare --example coverage [RUNS]`

#[path = "../../tests/support/mod.rs"]
mod support;

use compare::statistics::quantile::Sorted;
use compare::statistics::{Estimate, TooShort, mean, quantile};
use support::Random;

/// Level of the intervals.
const LEVEL: f64 = 0.9;
/// Number of requests before the first evaluated one, so that the queue has its stationary distribution.
const WARM_UP: usize = 20_000;
/// Mean of an additional time before each service, as a multiple of the mean service time. The station does not report this
/// time, and its coefficient of variation is 1. The simulator does not know it, so waiting times have an unexplained part.
const HIDDEN: f64 = 0.05;
const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];

/// The relation between the service times of run B and those of run A.
#[derive(Clone, Copy, PartialEq)]
enum Services {
    /// The same request takes the same time in both runs, up to a random factor of 5%.
    Repeated,
    /// Service times of the two runs are independent.
    Independent,
}

/// The intervals of one figure.
#[derive(Clone, Copy, Default)]
struct Cell {
    covered: u32,
    answers: u32,
    half_width: f64,
}

impl Cell {
    /// Both runs have the same distributions, so the true difference is always 0.
    fn add(&mut self, estimate: Result<Estimate, TooShort>, scale: f64) {
        let Ok(estimate) = estimate else {
            return;
        };
        let [low, high] = estimate.interval(LEVEL);
        self.answers += 1;
        self.covered += u32::from(low <= 0.0 && 0.0 <= high);
        self.half_width += (high - low) / 2.0 / scale;
    }

    fn text(self) -> String {
        let answers = f64::from(self.answers);
        format!(
            "{:.3} ({:.2} %)",
            f64::from(self.covered) / answers,
            100.0 * self.half_width / answers
        )
    }
}

/// A run without its first requests.
struct Run {
    services: Vec<f64>,
    responses: Vec<f64>,
    /// Response times minus simulated waiting times.
    rest: Vec<f64>,
    waits: Vec<f64>,
    simulated: Vec<f64>,
}

impl Run {
    fn new(random: &mut Random, gaps: &[f64], services: Vec<f64>) -> Self {
        let busy: Vec<f64> = services
            .iter()
            .map(|service| service + random.lognormal(HIDDEN, 1.0))
            .collect();
        let after = |values: Vec<f64>| values[WARM_UP..].to_vec();
        let recorded = waits(gaps, &busy);
        let simulated = waits(gaps, &services);
        let responses: Vec<f64> = recorded
            .iter()
            .zip(&busy)
            .map(|(wait, busy)| wait + busy)
            .collect();
        // If each request has its own slot, the simulated waiting time is 0.
        let rest = responses
            .iter()
            .zip(&simulated)
            .map(|(response, wait)| response - wait)
            .collect();
        Self {
            simulated: after(simulated),
            services: after(services),
            rest: after(rest),
            responses: after(responses),
            waits: after(recorded),
        }
    }
}

/// Waiting times at one slot with a first-come queue (Lindley). `gaps` are the times between arrivals.
fn waits(gaps: &[f64], services: &[f64]) -> Vec<f64> {
    let mut wait = 0.0_f64;
    let mut before = 0.0;
    let next = gaps.iter().zip(services).map(|(gap, service)| {
        wait = (wait + before - gap).max(0.0);
        before = *service;
        wait
    });
    next.collect()
}

/// A run and its replay, which has the same arrivals.
fn pair(random: &mut Random, rho: f64, number: usize, services: Services) -> [Run; 2] {
    let all = number + WARM_UP;
    // The hidden time is part of the utilisation.
    let gap = (1.0 + HIDDEN) / rho;
    let gaps: Vec<f64> = (0..all).map(|_| random.exponential(gap)).collect();
    let first: Vec<f64> = (0..all).map(|_| random.lognormal(1.0, 0.5)).collect();
    [(); 2].map(|()| {
        let of_run = |service: &f64| match services {
            Services::Repeated => service * random.lognormal(1.0, 0.05),
            Services::Independent => random.lognormal(1.0, 0.5),
        };
        let of_run = first.iter().map(of_run).collect();
        Run::new(random, &gaps, of_run)
    })
}

fn sorted(pair: [&Vec<f64>; 2]) -> Option<[Sorted; 2]> {
    Some([Sorted::new(pair[0]).ok()?, Sorted::new(pair[1]).ok()?])
}

fn row(rho: f64, number: usize, services: Services, runs: u32) {
    let mut cells = [Cell::default(); 7];
    for run in 0..runs {
        let mut random = Random::new((u64::from(run) << 32) | number as u64);
        let [a, b] = pair(&mut random, rho, number, services);
        cells[0].add(mean::ratio(&a.services, &b.services), 1.0);
        let (Some(responses), Some(rest), Some(waits), Some(simulated)) = (
            sorted([&a.responses, &b.responses]),
            sorted([&a.rest, &b.rest]),
            sorted([&a.waits, &b.waits]),
            sorted([&a.simulated, &b.simulated]),
        ) else {
            continue;
        };
        for (place, q) in QUANTILES.into_iter().enumerate() {
            let [a, _] = &responses;
            let [rest_a, rest_b] = &rest;
            let series = [(rest_b, 1.0), (rest_a, -1.0)];
            cells[1 + place].add(quantile::sum(&series, q), a.quantile(q));
            let ([wait_a, wait_b], [of_a, of_b]) = (&waits, &simulated);
            let series = [(wait_b, 1.0), (wait_a, -1.0), (of_b, -1.0), (of_a, 1.0)];
            // The median waiting time can be 0, so the widths of intervals are given as shares of the response time.
            cells[4 + place].add(quantile::sum(&series, q), a.quantile(q));
        }
    }
    let name = match services {
        Services::Repeated => "5 % jitter",
        Services::Independent => "independent",
    };
    let relaxations = number as f64 / rho * (1.0 - rho.sqrt()).powi(2);
    let cells: Vec<String> = cells.iter().map(|cell| cell.text()).collect();
    println!(
        "| {rho} | {number} | {relaxations:.0} | {name} | {} |",
        cells.join(" | ")
    );
}

fn main() {
    let runs = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1000);
    println!(
        "| utilization | n | relaxation times | services of B | mean service time | unexplained response p50 | p95 | p99 | unexplained wait p50 | p95 | p99 |"
    );
    println!("|---:|---:|---:|---|---|---|---|---|---|---|---|");
    for services in [Services::Repeated, Services::Independent] {
        for rho in [0.5, 0.7, 0.85] {
            for number in [2_000, 20_000] {
                row(rho, number, services, runs);
            }
        }
    }
}
