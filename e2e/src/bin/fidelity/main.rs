//! Holds what is recorded to what is known otherwise, queueing theory and the kernel's counters: `make fidelity`. Nothing else may
//! run on the machine meanwhile.
//!
//! - [`lindley`]: are the recorded queue times those of a first-come queue with one server, step by step and on average?
//! - [`overload`]: what happens at twice the capacity?
//! - [`crowd`]: is a request's CPU time its own when eight share two CPUs?
//! - [`hosts`]: do the rows of a node under a known load say what the kernel's counters say, from the service and from the Collector?
//! - [`links`]: does links.json say what delay and rate the links were given, and is one clock that is wrong told and harmless?

mod crowd;
mod hosts;
mod lindley;
mod links;
mod overload;
mod stack;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

/// Holds what is recorded to queueing theory and the kernel's counters, and prints what was found.
#[derive(Parser)]
struct Flags {
    /// Folder of the release binaries.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// Length of the measured Poisson load.
    #[arg(long, default_value = "120s")]
    duration: String,
    /// Checks to run [default: all]. `hosts` and `links` need root, for networks of their own, and what `make collector`
    /// and `make toxiproxy` build.
    #[arg(long, value_delimiter = ',', value_parser = NAMES)]
    only: Vec<String>,
}

/// A check of the binaries in a folder, some for a given time.
type Check = fn(&Path, &str) -> anyhow::Result<Vec<Finding>>;

/// All checks, in order.
const CHECKS: [(&str, Check); 5] = [
    ("lindley", lindley::check),
    ("overload", overload::check),
    ("crowd", crowd::check),
    ("hosts", hosts::check),
    ("links", links::check),
];
const NAMES: [&str; 5] = ["lindley", "overload", "crowd", "hosts", "links"];

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
    println!("{:<66} {:>16}   {:<24}", "", "measured", "wanted");
    let wanted = |name: &str| flags.only.is_empty() || flags.only.iter().any(|only| only == name);
    for (_, check) in CHECKS.into_iter().filter(|(name, _)| wanted(name)) {
        for finding in check(&bin_dir, &flags.duration)? {
            all_hold &= finding.holds;
            let mark = if finding.holds { "ok" } else { "BROKEN" };
            println!(
                "{:<66} {:>16}   {:<24} {mark}",
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
