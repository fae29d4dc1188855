//! Coverage of the intervals for rates, shares and averages over time. The intervals are computed by the code of `cctf stats`.

use analyze::stats::load::Load;

use super::random::Random;
use super::requests::{Arriving, run};
use super::waits::relaxations;
use super::{LENGTHS, Outcome, Tally, ends};

/// The cases, which are the row groups of a table: name, utilisation and kind of arrivals.
const CASES: [(&str, f64, Arriving); 5] = [
    (
        "Poisson arrivals, utilization 0.5, 5 % errors",
        0.5,
        Arriving::Poisson { errors: 0.05 },
    ),
    (
        "Poisson arrivals, utilization 0.8, 5 % errors",
        0.8,
        Arriving::Poisson { errors: 0.05 },
    ),
    (
        "Poisson arrivals, utilization 0.5, 0.5 % errors",
        0.5,
        Arriving::Poisson { errors: 0.005 },
    ),
    ("gaps with a cv of 2, utilization 0.5", 0.5, Arriving::Varied),
    (
        "bursts of arrivals and errors, utilization 0.5",
        0.5,
        Arriving::Bursts,
    ),
];

/// Prints a table for each case.
pub fn print(runs: u64) {
    println!("coverage, ± mean half width as a share of the truth, share of runs without interval");
    for (case, (name, rho, arriving)) in CASES.into_iter().enumerate() {
        println!(
            "\n{name}: {:?} relaxation times",
            LENGTHS.map(|number| relaxations(rho, number).round())
        );
        let mut rows: Vec<(Load, Vec<Tally>)> = Vec::new();
        for (column, number) in LENGTHS.into_iter().enumerate() {
            for run_number in 0..runs {
                let seed = Random::new(((case as u64 * 8 + column as u64 + 100) << 32) | run_number).bits();
                for (load, truth, found) in run(&mut Random::new(seed), rho, arriving, number) {
                    let outcome = Outcome {
                        figure: String::new(),
                        method: String::new(),
                        truth,
                        ends: found.ok().map(ends),
                    };
                    let place = rows
                        .iter()
                        .position(|(known, _)| *known == load)
                        .unwrap_or_else(|| {
                            rows.push((load, Vec::new()));
                            rows.len() - 1
                        });
                    let tallies = &mut rows[place].1;
                    tallies.resize_with(column + 1, Tally::default);
                    tallies[column].add(&outcome);
                }
            }
        }
        for (load, tallies) in rows {
            let cells: Vec<String> = tallies.iter().map(Tally::to_string).collect();
            println!("| {} | {} |", load.name(), cells.join(" | "));
        }
    }
}
