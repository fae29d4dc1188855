//! Holds what is recorded to what is known otherwise, queueing theory and the kernel's counters: `make fidelity`. Nothing else may
//! run on the machine meanwhile.
//!
//! - [`lindley`]: are the recorded queue times those of a first-come queue with one server, step by step and on average?
//! - [`neighbours`]: the same with a busy CPU everywhere: does the recorded wake-up explain what the queue does not?
//! - [`overload`]: what happens at twice the capacity?
//! - [`crowd`]: is a request's CPU time its own when eight share two CPUs?
//! - [`hosts`]: do the rows of a node under a known load say what the kernel's counters say, from the service and from the Collector?
//! - [`links`]: does links.json say what delay and rate the links were given, and is one clock that is wrong told and harmless?
//!
//! Each part prints the CPU time that the host of a virtual machine took meanwhile ([`steal`]). A part in which a line breaks is
//! measured again if that was more than the part bears, three times at most; then its broken lines are not judged, and the exit
//! code is 2. A line is BROKEN, and the exit code 1, only where the host left the CPUs alone.

mod crowd;
mod hosts;
mod lindley;
mod links;
mod neighbours;
mod overload;
mod stack;
mod steal;
mod theory;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use steal::{Ticks, Verdict};

/// Holds what is recorded to queueing theory and the kernel's counters, and prints what was found.
#[derive(Parser)]
struct Flags {
    /// Folder of the release binaries.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// Length of the measured Poisson load.
    #[arg(long, default_value = "120s")]
    duration: String,
    /// Parts to measure [default: all]. `hosts` and `links` need root, for networks of their own, and what `make collector`
    /// and `make toxiproxy` build.
    #[arg(long, value_delimiter = ',', value_parser = NAMES)]
    only: Vec<String>,
}

/// A check of the binaries in a folder, some for a given time.
type Check = fn(&Path, &str) -> anyhow::Result<Vec<Finding>>;

/// A part of the whole, measured and judged by itself.
struct Part {
    name: &'static str,
    check: Check,
    /// Percentage of all CPU time that the host may take before a broken line says nothing of the service.
    stolen_max: f64,
}

impl Part {
    const fn new(name: &'static str, check: Check, stolen_max: f64) -> Self {
        Self {
            name,
            check,
            stolen_max,
        }
    }
}

/// For a part that is judged by averages, and by quantiles of thousands of rows.
const STOLEN_MAX: f64 = 0.5;
/// For one that a single row can break.
const NOTHING_STOLEN: f64 = 0.0;

/// All parts, in order.
const PARTS: [Part; 6] = [
    Part::new("lindley", lindley::check, STOLEN_MAX),
    Part::new("neighbours", neighbours::check, STOLEN_MAX),
    Part::new("overload", overload::check, STOLEN_MAX),
    Part::new("crowd", crowd::check, NOTHING_STOLEN),
    Part::new("hosts", hosts::check, STOLEN_MAX),
    Part::new("links", links::check, STOLEN_MAX),
];
const NAMES: [&str; 6] = ["lindley", "neighbours", "overload", "crowd", "hosts", "links"];

/// Exit code when no line is broken for certain, but some part could not be judged.
const UNJUDGED: u8 = 2;

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

    fn print(&self, verdict: Verdict) {
        let mark = match verdict {
            _ if self.holds => "ok",
            Verdict::Broken => "BROKEN",
            _ => "not judged",
        };
        println!(
            "{:<66} {:>16}   {:<24} {mark}",
            self.what, self.measured, self.wanted
        );
    }
}

fn main() -> ExitCode {
    match measure(&Flags::parse()) {
        Ok(Verdict::Holds) => ExitCode::SUCCESS,
        Ok(Verdict::Unjudged | Verdict::Again) => {
            eprintln!(
                "fidelity: the host took CPU time from this machine; repeat the parts that were not judged"
            );
            ExitCode::from(UNJUDGED)
        }
        Ok(Verdict::Broken) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("fidelity: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The worst verdict of all parts.
fn measure(flags: &Flags) -> anyhow::Result<Verdict> {
    let bin_dir = std::path::absolute(&flags.bin_dir).context("cannot find the binaries")?;
    println!("{:<66} {:>16}   {:<24}", "", "measured", "wanted");
    let wanted = |part: &Part| flags.only.is_empty() || flags.only.iter().any(|only| only == part.name);
    let mut worst = Verdict::Holds;
    for part in PARTS.iter().filter(|part| wanted(part)) {
        worst = match (worst, measure_part(part, &bin_dir, &flags.duration)?) {
            (Verdict::Broken, _) | (_, Verdict::Broken) => Verdict::Broken,
            (Verdict::Holds, verdict) => verdict,
            (worst, _) => worst,
        };
    }
    Ok(worst)
}

/// Measures a part, again while a line breaks and the host takes CPU time, and prints every attempt.
fn measure_part(part: &Part, bin_dir: &Path, duration: &str) -> anyhow::Result<Verdict> {
    let mut attempt = 1;
    loop {
        let before = Ticks::read()?;
        let mut findings = (part.check)(bin_dir, duration)?;
        let stolen = Ticks::read()?.stolen_since(before);
        findings.push(Finding::note(
            &format!("{}: CPU time that the host took", part.name),
            &format!("{stolen:.2} %"),
            &format!("at most {} % to judge", part.stolen_max),
        ));
        let all_hold = findings.iter().all(|finding| finding.holds);
        let verdict = steal::judge(all_hold, stolen, part.stolen_max, attempt);
        findings.iter().for_each(|finding| finding.print(verdict));
        if verdict != Verdict::Again {
            return Ok(verdict);
        }
        attempt += 1;
        println!("{}: attempt {attempt} of {}", part.name, steal::ATTEMPTS_MAX);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_can_be_asked_for_by_its_name() {
        assert_eq!(PARTS.map(|part| part.name), NAMES);
    }
}
