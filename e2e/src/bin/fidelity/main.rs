//! Holds the real service to queueing theory: `make fidelity`. Nothing else may run on the machine meanwhile.
//!
//! - [`lindley`]: are the recorded queue times those of a first-come queue with one server, step by step and on average?
//! - [`overload`]: what happens at twice the capacity?
//! - [`crowd`]: is a request's CPU time its own when eight share two CPUs?

mod crowd;
mod lindley;
mod overload;
mod stack;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

/// Holds the real service to queueing theory and prints what was found.
#[derive(Parser)]
struct Flags {
    /// Folder of the release binaries.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// Length of the measured Poisson load.
    #[arg(long, default_value = "120s")]
    duration: String,
}

/// One thing that was measured and its bounds.
struct Finding {
    what: String,
    measured: String,
    wanted: String,
    holds: bool,
}

impl Finding {
    fn at_most(what: &str, value: f64, most: f64, unit: &str) -> Self {
        Self::new(
            what,
            format!("{value:.3} {unit}"),
            format!("at most {most} {unit}"),
            value <= most,
        )
    }

    fn between(what: &str, value: f64, (least, most): (f64, f64), unit: &str) -> Self {
        let wanted = format!("{least:.3} to {most:.3} {unit}");
        Self::new(
            what,
            format!("{value:.3} {unit}"),
            wanted,
            (least..=most).contains(&value),
        )
    }

    /// What helps to judge the others and decides nothing itself.
    fn note(what: &str, measured: &str, wanted: &str) -> Self {
        Self::new(what, measured.to_owned(), wanted.to_owned(), true)
    }

    fn new(what: &str, measured: String, wanted: String, holds: bool) -> Self {
        Self {
            what: what.to_owned(),
            measured,
            wanted,
            holds,
        }
    }
}

fn main() -> ExitCode {
    match measure(&Flags::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fidelity: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(flags: &Flags) -> anyhow::Result<bool> {
    let bin_dir = std::path::absolute(&flags.bin_dir).context("cannot find the binaries")?;
    let mut all_hold = true;
    println!("{:<62} {:>16}   {:<24}", "", "measured", "wanted");
    for check in [lindley::check, overload::check, crowd::check] {
        for finding in check(&bin_dir, &flags.duration)? {
            all_hold &= finding.holds;
            let mark = if finding.holds { "ok" } else { "BROKEN" };
            println!(
                "{:<62} {:>16}   {:<24} {mark}",
                finding.what, finding.measured, finding.wanted
            );
        }
    }
    Ok(all_hold)
}

/// The value below which such a share of the values lies. Sorts them.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values
        .get(((last as f64) * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}
