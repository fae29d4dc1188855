//! [`SiteFlags`]: which run is predicted, and how; [`read_site`]: that run.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread;

use cctf_proto::cctf::Part;
use cctf_stack::stand_ins::Recording;
use clap::{Args, ValueEnum};
use place::evaluation::Metric;
use place::ranking::Options;
use place::site::{Site, SiteError};
use place::tiers::Tiers;
use plan::plan::Window;
use rundir::parts::Run;

use crate::commands::UsageError;
use crate::commands::cells::printable;
use crate::commands::plan::whole::read_plan;
use crate::commands::plan::window::WindowFlags;

/// Range of a factor on rates and speeds: a hundredth to a hundred times.
const FACTORS: std::ops::RangeInclusive<f64> = 0.01..=100.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Tables for people.
    #[value(alias = "text")]
    Table,
    /// One JSON object.
    Json,
}

/// The statistic of the roots' response times by which placements are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    Mean,
    P50,
    P95,
    P99,
}

impl From<By> for Metric {
    fn from(by: By) -> Self {
        match by {
            By::Mean => Self::Mean,
            By::P50 => Self::P50,
            By::P95 => Self::P95,
            By::P99 => Self::P99,
        }
    }
}

/// The recorded run, and its load.
#[derive(Debug, Clone, Args)]
pub struct SiteFlags {
    /// Run id, or path to a run's folder. Default: the newest run.
    #[arg(env = "RUN_ID", value_name = "DIR|RUN_ID")]
    pub run: Option<String>,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    pub logs_dir: PathBuf,
    #[command(flatten)]
    pub window: WindowFlags,
    /// Multiply the arrival rate. Above 1, copies of the load, shifted by random times, are added to it. Below 1, requests are left out.
    #[arg(long, default_value = "1", value_name = "FACTOR", value_parser = parse_factor)]
    pub scale: f64,
    /// Number of further loads to simulate, besides the recorded load. Each further load consists of random stretches of the recorded
    /// one. The 95% intervals of response times are computed from these simulations.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub replications: u32,
    /// Seed of the further loads. The same seed gives the same result.
    #[arg(long, env = "CCTF_SEED", default_value_t = 1)]
    pub seed: u64,
    /// Output format.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "table")]
    pub format: OutputFormat,
}

/// A name and a value, such as `cart=edge0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<T> {
    pub name: String,
    pub value: T,
}

impl SiteFlags {
    pub fn options(&self, by: Metric, top: usize) -> Options {
        Options {
            by,
            replications: self.replications,
            seed: self.seed,
            top,
            threads: thread::available_parallelism().map_or(1, NonZero::get),
        }
    }
}

/// Reads a run. Returns sentences about it and its number of damaged lines, too.
pub fn read_site(run: &Run, part: &Part, window: Window) -> anyhow::Result<(Site, Vec<String>, u64)> {
    let Some(recording) = Recording::read(run, part)? else {
        let message = format!(
            "cannot predict placements of {}: it has no valid module_inventory.json, which lists its instances; cctf validate shows what \
             the run lacks",
            printable(run.id())
        );
        return Err(UsageError(message).into());
    };
    let (plan, mut notes) = read_plan(run, part, window)?;
    notes.splice(0..0, plan.notes());
    let site = Site::new(&plan, recording).map_err(|error: SiteError| UsageError(error.to_string()))?;
    Ok((site, notes, plan.recorded.notes.damaged_lines))
}

/// The tiers of a file, checked against a run.
pub fn read_tiers(path: &Path, site: &Site, change: impl FnOnce(&mut Tiers)) -> Result<Tiers, UsageError> {
    let usage = |error: place::tiers::TiersError| UsageError(error.to_string());
    let mut tiers = Tiers::read(path).map_err(usage)?;
    change(&mut tiers);
    tiers.complete(&site.recording, &site.groups).map_err(usage)
}

pub fn parse_factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if FACTORS.contains(&factor) => Ok(factor),
        _ => Err(format!(
            "invalid factor {text:?}: use a number from {} to {}",
            FACTORS.start(),
            FACTORS.end()
        )),
    }
}

/// Parses `NAME=VALUE`.
pub fn parse_pair<T>(
    text: &str,
    example: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Pair<T>, String> {
    match text.rsplit_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok(Pair {
            name: name.to_owned(),
            value: parse(value)?,
        }),
        _ => Err(format!("invalid value {text:?}: write it as in {example}")),
    }
}

/// Refuses a name that a flag has twice. Only one of the values would count.
pub fn refuse_twice<T>(flag: &str, pairs: &[Pair<T>]) -> Result<(), UsageError> {
    let mut seen = BTreeSet::new();
    match pairs.iter().find(|pair| !seen.insert(pair.name.as_str())) {
        Some(pair) => Err(UsageError(format!(
            "{flag} names {:?} twice: remove one",
            pair.name
        ))),
        None => Ok(()),
    }
}

/// Parses `MODULE=NODE`.
pub fn parse_place(text: &str) -> Result<Pair<String>, String> {
    parse_pair(text, "cart=edge0", |node| Ok(node.to_owned()))
}

/// Parses a whole number in a range.
pub fn parse_whole<T: FromStr + PartialOrd + std::fmt::Display>(
    text: &str,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, String> {
    match text.parse::<T>() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!(
            "invalid number {text:?}: use a whole number from {} to {}",
            range.start(),
            range.end()
        )),
    }
}
