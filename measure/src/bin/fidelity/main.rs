//! `make fidelity`: compares recorded values with queueing theory, with the kernel's counters, and with the settings of links.
//! Also compares runs with their replays. No other load may run on the machine.
//!
//! - [`lindley`]: queue times are those of a first-come queue with one server, for each request and on average.
//! - [`neighbours`]: with every CPU busy, the recorded wake-up times explain the rest of the queue times.
//! - [`stations`]: from arrivals, own times and slots, the station simulator computes the recorded waiting times.
//! - [`overload`]: behaviour at twice the capacity.
//! - [`crowd`]: when eight requests share two CPUs, each row has the CPU time of its own request.
//! - [`hosts`]: under a known load, a node's rows from the service and from the Collector agree with the kernel's counters.
//! - [`links`]: links.json agrees with the set delay and rate. One wrong clock is reported and changes nothing else.
//! - [`replay`]: `cctf compare` judges replays of an unchanged service to be the same, and finds a change of the service or the
//!   requests. Stand-ins replace the services, and also the shop in five languages.
//! - [`simgrid`]: from a run of a chain with little load, SimGrid and our own simulator predict runs with more load. LINE's answer
//!   is shown beside them.
//! - [`regression`]: CPU times that are estimated from `process.cpu.time` are those of the requests.
//!
//! Each part prints the CPU time that the host of a virtual machine took from it meanwhile ([`steal`]). If a value is out of
//! its bounds and the host took too much, the part is measured again, at most three times. If the host still took too much in
//! the last attempt, the part is not judged, and the exit code is 2. A line is BROKEN, with exit code 1, only if the host took
//! little.

mod crowd;
mod finding;
mod hosts;
mod lindley;
mod links;
mod neighbours;
mod overload;
mod regression;
mod replay;
mod simgrid;
mod stack;
mod stations;
mod steal;
mod theory;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use finding::Finding;
use steal::{Ticks, Verdict};

/// Compares recorded values with queueing theory, the kernel's counters, the settings of links, and the values of replays.
#[derive(Parser)]
struct Flags {
    /// Folder of the release binaries.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// Length of the Poisson loads. The parts about replays have their own.
    #[arg(long, default_value = "120s")]
    duration: String,
    /// Parts to measure. Default: all. `hosts` and `links` need root and the binaries of `make collector` and `make toxiproxy`;
    /// `replay-chain` and `dependence` need those of `make toxiproxy`; `simgrid` needs SimGrid, and LINE in `target/tools/line`;
    /// `shop` needs root, toxiproxy and `make need-shop`.
    #[arg(long, value_delimiter = ',', value_parser = NAMES)]
    only: Vec<String>,
}

/// A check of the binaries in a folder. Some checks take the length of the load.
type Check = fn(&Path, &str) -> anyhow::Result<Vec<Finding>>;

/// A part of the measurement, which is measured and judged by itself.
struct Part {
    name: &'static str,
    check: Check,
    /// Maximum share of all CPU time that the host may take, percent. Above it, a broken line is not judged.
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

/// Maximum for a part with averages and quantiles of thousands of rows.
const STOLEN_MAX: f64 = 0.5;
/// Maximum for a part in which a single row can break a line.
const NOTHING_STOLEN: f64 = 0.0;

/// All parts, in order.
const PARTS: [Part; 15] = [
    Part::new("lindley", lindley::check, STOLEN_MAX),
    Part::new("neighbours", neighbours::check, STOLEN_MAX),
    Part::new("stations", stations::check, STOLEN_MAX),
    Part::new("overload", overload::check, STOLEN_MAX),
    Part::new("crowd", crowd::check, NOTHING_STOLEN),
    Part::new("regression", regression::check, STOLEN_MAX),
    Part::new("replay", replay::check_pairs, STOLEN_MAX),
    Part::new("replay-chain", replay::check_chain, STOLEN_MAX),
    Part::new("sensitivity", replay::check_sensitivity, STOLEN_MAX),
    Part::new("stand-ins", replay::check_stand_ins, STOLEN_MAX),
    Part::new("dependence", replay::check_dependence, STOLEN_MAX),
    Part::new("shop", replay::check_shop, STOLEN_MAX),
    Part::new("hosts", hosts::check, STOLEN_MAX),
    Part::new("links", links::check, STOLEN_MAX),
    Part::new("simgrid", simgrid::check, STOLEN_MAX),
];
const NAMES: [&str; 15] = [
    "lindley",
    "neighbours",
    "stations",
    "overload",
    "crowd",
    "regression",
    "replay",
    "replay-chain",
    "sensitivity",
    "stand-ins",
    "dependence",
    "shop",
    "hosts",
    "links",
    "simgrid",
];

/// Exit code if no line is BROKEN, but a part could not be judged.
const UNJUDGED: u8 = 2;

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

/// Measures a part. Repeats this while a line is out of its bounds and the host takes CPU time. Prints every attempt.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_can_be_asked_for_by_its_name() {
        assert_eq!(PARTS.map(|part| part.name), NAMES);
    }
}
