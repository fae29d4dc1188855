//! Measures how often the intervals of a comparison contain the truth, and prints the tables of docs/statistics.md.
//!
//! `cargo run --release -p cctf-compare --example coverage [RUNS]`

#[path = "../../tests/support/mod.rs"]
mod support;

use compare::statistics::{Estimate, TooShort, mean, quantile};
use support::Random;

/// Level of the intervals.
const LEVEL: f64 = 0.9;
/// Requests before the first that counts, so that the queue has its stationary distribution.
const WARM_UP: usize = 20_000;

/// How B's services follow from A's.
#[derive(Clone, Copy, PartialEq)]
enum Services {
    /// The same request takes the same time, with a random factor of 5 %.
    Repeated,
    /// Each request takes a time of its own.
    Independent,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    covered: u32,
    answers: u32,
    half_width: f64,
}

impl Cell {
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

/// One pair of runs: services and responses of both.
fn pair(random: &mut Random, rho: f64, number: usize, services: Services) -> [(Vec<f64>, Vec<f64>); 2] {
    let all = number + WARM_UP;
    let gaps: Vec<f64> = (0..all).map(|_| random.exponential(1.0 / rho)).collect();
    let first: Vec<f64> = (0..all).map(|_| random.lognormal(1.0, 0.5)).collect();
    let jitter = |random: &mut Random, service: f64| service * random.lognormal(1.0, 0.05);
    let runs = [(); 2].map(|()| {
        let of_run: Vec<f64> = match services {
            Services::Repeated => first.iter().map(|&service| jitter(random, service)).collect(),
            Services::Independent => (0..all).map(|_| random.lognormal(1.0, 0.5)).collect(),
        };
        let waits = waits(&gaps, &of_run);
        let responses = waits.iter().zip(&of_run).map(|(wait, service)| wait + service);
        (responses.skip(WARM_UP).collect(), of_run[WARM_UP..].to_vec())
    });
    runs.map(|(responses, services): (Vec<f64>, Vec<f64>)| (services, responses))
}

/// Waits at one slot, first come, first served (Lindley). `gaps` are the times before each arrival.
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

fn row(rho: f64, number: usize, services: Services, runs: u32) {
    let mut cells = [Cell::default(); 4];
    for run in 0..runs {
        let mut random = Random::new(u64::from(run) << 32 | number as u64);
        let [a, b] = pair(&mut random, rho, number, services);
        cells[0].add(mean::ratio(&a.0, &b.0), 1.0);
        let sorted = [&a.1, &b.1].map(|values| quantile::Sorted::new(values));
        let [Ok(a), Ok(b)] = sorted else {
            continue;
        };
        for (cell, q) in cells[1..].iter_mut().zip([0.5, 0.95, 0.99]) {
            cell.add(quantile::sum(&[(&b, 1.0), (&a, -1.0)], q), a.quantile(q));
        }
    }
    let name = match services {
        Services::Repeated => "5 % jitter",
        Services::Independent => "independent",
    };
    let cells: Vec<String> = cells.iter().map(|cell| cell.text()).collect();
    println!("| {rho} | {number} | {name} | {} |", cells.join(" | "));
}

fn main() {
    let runs = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1000);
    println!(
        "| utilization | n | services of B | service mean | response p50 | response p95 | response p99 |"
    );
    println!("|---:|---:|---|---|---|---|---|");
    for services in [Services::Repeated, Services::Independent] {
        for rho in [0.5, 0.7, 0.85] {
            for number in [2_000, 20_000] {
                row(rho, number, services, runs);
            }
        }
    }
}
