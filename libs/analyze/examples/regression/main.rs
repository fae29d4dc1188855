//! Measures the accuracy of CPU times by regression on simulated processes, and prints the table of docs/statistics.md:
//! `cargo run --release -p cctf-analyze --example regression`.
//! The argument is the number of runs (default: 200).

#[path = "../../tests/support/process.rs"]
mod process;
#[path = "../../tests/support/random.rs"]
mod random;

use analyze::regression::NoEstimate;

use process::{Mix, Process};
use random::Random;

const RUNS: u64 = 200;
const LOADS: [(Mix, &str, usize, f64); 7] = [
    (Mix::Varied, "varied", 600, 40.0),
    (Mix::Varied, "varied", 600, 200.0),
    (Mix::Varied, "varied", 3_600, 40.0),
    (Mix::Constant, "constant", 600, 40.0),
    (Mix::Constant, "constant", 600, 200.0),
    (Mix::Turns, "in turns", 600, 40.0),
    (Mix::Turns, "in turns", 600, 200.0),
];
const BURNS_MS: [f64; 5] = [0.5, 1.0, 2.0, 4.0, 8.0];

/// Sums over all runs of one process.
#[derive(Default)]
struct Tally {
    estimates: u64,
    covered: u64,
    /// Relative errors of the estimates.
    errors: Vec<f64>,
    /// Number of estimates with an error of at most 10% plus 0.05 ms.
    close: u64,
    runs: u64,
    in_step: u64,
}

fn main() {
    let runs = std::env::args()
        .nth(1)
        .and_then(|runs| runs.parse().ok())
        .unwrap_or(RUNS);
    println!(
        "| mix | seconds | requests/s | CPU time | no answer | of which in step | covered | error, median | error, p95 | within 10 % + 0.05 ms |"
    );
    println!("|---|---:|---:|---|---:|---:|---:|---:|---:|---:|");
    for (mix, name, seconds, rate) in LOADS {
        for (endpoint, tally) in measure(mix, seconds, rate, runs).iter_mut().enumerate() {
            tally.print(name, seconds, rate, BURNS_MS[endpoint]);
        }
    }
}

fn measure(mix: Mix, seconds: usize, rate: f64, runs: u64) -> Vec<Tally> {
    let mut tallies: Vec<Tally> = BURNS_MS.iter().map(|_| Tally::default()).collect();
    let burns_ms = BURNS_MS.to_vec();
    let process = Process {
        burns_ms,
        mix,
        seconds,
        rate,
    };
    for seed in 0..runs {
        tallies.iter_mut().for_each(|tally| tally.runs += 1);
        let Ok(found) = process.run(&mut Random::new(seed)).regression() else {
            continue;
        };
        for ((endpoint, tally), burn_ms) in found.endpoints.iter().zip(&mut tallies).zip(BURNS_MS) {
            match endpoint.cpu {
                Err(NoEstimate::InStep { .. }) => tally.in_step += 1,
                Err(_) => {}
                Ok(estimate) => {
                    let error = (estimate.mean * 1e3 - burn_ms).abs();
                    tally.estimates += 1;
                    tally.covered += u64::from((estimate.low..=estimate.high).contains(&(burn_ms / 1e3)));
                    tally.close += u64::from(error <= 0.1 * burn_ms + 0.05);
                    tally.errors.push(error / burn_ms);
                }
            }
        }
    }
    tallies
}

impl Tally {
    fn print(&mut self, mix: &str, seconds: usize, rate: f64, burn_ms: f64) {
        self.errors.sort_by(f64::total_cmp);
        let error = |share: f64| {
            let last = self.errors.len().saturating_sub(1) as f64;
            let error = self.errors.get((share * last) as usize);
            error.map_or("-".to_owned(), |error| format!("{:.1} %", 100.0 * error))
        };
        let share = |part: u64, whole: u64| match whole {
            0 => "-".to_owned(),
            _ => format!("{:.2}", part as f64 / whole as f64),
        };
        println!(
            "| {mix} | {seconds} | {rate} | {burn_ms} ms | {} | {} | {} | {} | {} | {} |",
            share(self.runs - self.estimates, self.runs),
            share(self.in_step, self.runs),
            share(self.covered, self.estimates),
            error(0.5),
            error(0.95),
            share(self.close, self.estimates),
        );
    }
}
