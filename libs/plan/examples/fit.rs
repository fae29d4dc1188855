//! Simulates the stations of recorded runs, and prints how well the simulated waiting times agree with the recorded ones.
//!
//! `cargo run --release -p cctf-plan --example fit -- logs/RUN...`

use std::path::PathBuf;
use std::time::Instant;

use plan::plan::{Plan, Regressed, Window, read};
use plan::stations::{Failures, fits, load, quantile_ms, simulate_with, waits};
use rundir::parts::Target;

fn main() -> anyhow::Result<()> {
    for folder in std::env::args().skip(1) {
        let found = Target::Folder(PathBuf::from(&folder)).find()?;
        let Some((run, first)) = found else {
            anyhow::bail!("cannot read {folder}: it does not exist");
        };
        let began = Instant::now();
        let (recorded, span) = read(&run, &first, Window::default(), &mut |_| {})?;
        let read_s = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let load = load(&Plan::unchecked(recorded, span, &Regressed::default()));
        let planned_s = began.elapsed().as_secs_f64();
        let began = Instant::now();
        let outcomes = simulate_with(&load, Failures::AsRecorded);
        let (count, simulated_s) = (load.visits.len(), began.elapsed().as_secs_f64());
        println!(
            "{folder}: {count} invocations, read in {read_s:.2} s, planned in {planned_s:.2} s, simulated in {simulated_s:.2} s"
        );
        for sentence in load.notes.sentences() {
            println!("  {sentence}");
        }
        for fit in fits(&load, &outcomes) {
            println!("  {fit:?}");
        }
        for (waits, module) in waits(&load, &outcomes).iter().zip(&load.names.modules) {
            let pairs = waits.recorded.iter().zip(&waits.simulated);
            let mut differences: Vec<i64> = pairs.map(|(a, b)| (a - b).abs()).collect();
            differences.sort_unstable();
            let of = |q| 1e3 * quantile_ms(&differences, q);
            println!(
                "  {module}: |recorded - simulated| p50 {:.1} us, p95 {:.1} us, p99 {:.1} us, max {:.1} us",
                of(0.5),
                of(0.95),
                of(0.99),
                of(1.0)
            );
        }
    }
    Ok(())
}
