//! Measures how often 95% intervals contain the true value, for waiting times in stationary M/M/1 queues. It prints the tables
//! of docs/statistics.md. The argument is the number of runs (default: 1000). With `load` as a second argument, it prints the
//! tables of rates, shares and averages over time.

#[path = "../../tests/support/random.rs"]
mod random;
#[path = "../../tests/support/requests.rs"]
mod requests;
#[path = "../../tests/support/waits.rs"]
mod waits;

mod candidates;
mod load;

use analyze::intervals::{Accumulator, Interval, NoInterval, RunLength};
use candidates::Ends;
use random::Random;
use waits::{mean_wait, quantile_of_waits, relaxations, waits};

const UTILIZATIONS: [f64; 3] = [0.3, 0.5, 0.8];
const LENGTHS: [usize; 3] = [800, 5_000, 20_000];
const QUANTILES: [f64; 3] = [0.5, 0.95, 0.99];
const LEVEL: f64 = 0.95;
/// Maximum number of positions by which a row of a run file is out of order.
const DISORDER: usize = 200;
/// Number of accumulators that are joined.
const PARTS: usize = 37;

/// The result of one method for one run.
struct Outcome {
    figure: String,
    method: String,
    truth: f64,
    /// `None` if the method gives no interval.
    ends: Option<Ends>,
}

/// The results of one method for one figure in all runs.
#[derive(Default)]
struct Tally {
    intervals: u32,
    covered: u32,
    refused: u32,
    open_above: u32,
    /// Number of runs in which the interval contains the true value and has an upper end.
    covered_closed: u32,
    /// Half widths of the intervals as shares of the true value.
    half_widths: f64,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        let Some((low, high)) = outcome.ends else {
            self.refused += 1;
            return;
        };
        self.intervals += 1;
        let is_covered = u32::from(low <= outcome.truth && outcome.truth <= high);
        self.covered += is_covered;
        if high.is_finite() {
            self.covered_closed += is_covered;
            self.half_widths += (high - low) / 2.0 / outcome.truth;
        } else {
            self.open_above += 1;
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let bounded = self.intervals - self.open_above;
        let share = |part: u32, all: u32| f64::from(part) / f64::from(all);
        write!(f, "{:.3}", share(self.covered, self.intervals))?;
        let width = self.half_widths / f64::from(bounded);
        if width.is_finite() {
            write!(f, " ±{:.0}%", width * 100.0)?;
        }
        if self.open_above > 0 {
            let closed = share(self.covered_closed, bounded);
            write!(
                f,
                " open {:.2}, others {closed:.3}",
                share(self.open_above, self.intervals)
            )?;
        }
        if self.refused > 0 {
            write!(
                f,
                " none {:.2}",
                share(self.refused, self.intervals + self.refused)
            )?;
        }
        Ok(())
    }
}

fn accumulate(values: &[f64]) -> Accumulator {
    let mut accumulator = Accumulator::new();
    values.iter().for_each(|&value| accumulator.push(value));
    accumulator
}

/// The accumulator that results if several threads each read a part of the values.
fn accumulate_parts(values: &[f64]) -> Accumulator {
    let mut joined = Accumulator::new();
    for part in values.chunks(values.len() / PARTS) {
        joined.append(accumulate(part));
    }
    joined
}

/// The values in another order: each is moved by at most [`DISORDER`] positions.
fn disordered(values: &[f64], random: &mut Random) -> Vec<f64> {
    let mut keyed: Vec<(f64, f64)> = values
        .iter()
        .enumerate()
        .map(|(place, &value)| (place as f64 + random.uniform() * DISORDER as f64, value))
        .collect();
    keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
    keyed.into_iter().map(|(_, value)| value).collect()
}

fn ends(found: Interval) -> Ends {
    (
        found.low.unwrap_or(f64::NEG_INFINITY),
        found.high.unwrap_or(f64::INFINITY),
    )
}

/// Name of the figure, its true value, and a function that returns its interval.
type Figure<'a> = (
    String,
    f64,
    &'a dyn Fn(&Accumulator, RunLength) -> Result<Interval, NoInterval>,
);

fn of_this_crate(figure: Figure, [chosen, joined, mixed]: [&Accumulator; 3]) -> Vec<Outcome> {
    let (figure, truth, interval) = figure;
    let long = RunLength::Relaxations(f64::INFINITY);
    [
        ("this crate", chosen, long),
        ("this crate, appended parts", joined, long),
        ("this crate, rows out of order", mixed, long),
        ("this crate, queue unknown", chosen, RunLength::Unknown),
    ]
    .into_iter()
    .map(|(method, values, length)| Outcome {
        figure: figure.clone(),
        method: method.to_owned(),
        truth,
        ends: interval(values, length).ok().map(ends),
    })
    .collect()
}

fn outcome(figure: &str, method: &str, truth: f64, ends: Ends) -> Outcome {
    Outcome {
        figure: figure.to_owned(),
        method: method.to_owned(),
        truth,
        ends: Some(ends),
    }
}

fn others_for_mean(values: &[f64], truth: f64, random: &mut Random) -> Vec<Outcome> {
    let mean = |method: &str, ends| outcome("mean", method, truth, ends);
    let batch_means = |number| {
        let method = format!("{number} batch means, Student's t");
        mean(&method, candidates::batch_means(values, number))
    };
    let overlapping = candidates::overlapping_batch_means(values, 20);
    let mut found = Vec::from([10, 20, 40].map(batch_means));
    found.push(mean("overlapping batch means, 1/20 each", overlapping));
    found.push(mean(
        "circular block bootstrap",
        candidates::bootstrap(values, random),
    ));
    found
}

fn others_for_quantile(values: &[f64], sorted: &[f64], q: f64, figure: &str, truth: f64) -> [Outcome; 4] {
    let [ten, twenty] = [10, 20].map(|number| candidates::sectioning(values, sorted, q, number));
    [
        (
            "quantiles of 10 batches",
            candidates::batch_quantiles(values, q, 10),
        ),
        ("sectioning, 10 sections", ten),
        ("sectioning, 20 sections", twenty),
        (
            "order statistics, effective size",
            candidates::order_statistics(values, sorted, q, 20),
        ),
    ]
    .map(|(method, ends)| outcome(figure, method, truth, ends))
}

fn outcomes(values: &[f64], rho: f64, random: &mut Random) -> Vec<Outcome> {
    let chosen = accumulate(values);
    let joined = accumulate_parts(values);
    let mixed = accumulate(&disordered(values, random));
    let ours = [&chosen, &joined, &mixed];
    let truth = mean_wait(rho);
    let mut found = others_for_mean(values, truth, random);
    let mean_interval = |values: &Accumulator, length| values.mean_interval(LEVEL, length);
    found.extend(of_this_crate(("mean".to_owned(), truth, &mean_interval), ours));
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    for q in QUANTILES {
        let truth = quantile_of_waits(rho, q);
        let figure = format!("p{:.0}", q * 100.0);
        found.extend(others_for_quantile(values, &sorted, q, &figure, truth));
        let interval = |values: &Accumulator, length| values.quantile_interval(q, LEVEL, length);
        found.extend(of_this_crate((figure, truth, &interval), ours));
    }
    found
}

fn main() {
    let runs = std::env::args()
        .nth(1)
        .and_then(|runs| runs.parse().ok())
        .unwrap_or(1_000_u64);
    if std::env::args().nth(2).as_deref() == Some("load") {
        return load::print(runs);
    }
    println!(
        "{runs} runs a cell: coverage, ± mean half width as a share of the truth, share of intervals open above and coverage of the others, share of runs without interval"
    );
    let mut rows: Vec<(String, String, Vec<Tally>)> = Vec::new();
    for (column, (rho, number)) in UTILIZATIONS
        .into_iter()
        .flat_map(|rho| LENGTHS.map(|number| (rho, number)))
        .enumerate()
    {
        println!(
            "column {column}: rho {rho}, n = {number}, {:.0} relaxation times",
            relaxations(rho, number)
        );
        for run in 0..runs {
            // Each cell of the table and each run has its own sequence of random numbers.
            let seed = Random::new(((column as u64) << 32) | run).bits();
            let mut random = Random::new(seed);
            let values = waits(&mut random, rho, number);
            for (row, outcome) in outcomes(&values, rho, &mut random).into_iter().enumerate() {
                if rows.len() <= row {
                    rows.push((outcome.figure.clone(), outcome.method.clone(), Vec::new()));
                }
                let tallies = &mut rows[row].2;
                tallies.resize_with(column + 1, Tally::default);
                tallies[column].add(&outcome);
            }
        }
    }
    rows.sort_by_key(|(figure, ..)| {
        ["mean", "p50", "p95", "p99"]
            .iter()
            .position(|known| known == figure)
    });
    for (figure, method, tallies) in rows {
        let cells: Vec<String> = tallies.iter().map(Tally::to_string).collect();
        println!("| {figure} | {method} | {} |", cells.join(" | "));
    }
}
