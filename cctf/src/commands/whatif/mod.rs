//! `cctf whatif`: one change of a recorded run, predicted in seconds.
//!
//! [`change`] makes tiers of the flags; [`table`] is the answer as text.

mod change;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::Args;
use cli::interrupt;
use place::evaluation::Metric;
use place::whatif::what_if;

use super::display::BytesBar;
use super::place::UNDECIDED;
use super::place::site::{
    OutputFormat, Pair, SiteFlags, parse_factor, parse_pair, parse_place, parse_whole, read_site, read_tiers,
    refuse_twice,
};
use super::run_target::find;
use super::{DONE, FAILED, UsageError, damages, print, print_json};
use change::{Flags, LinkChange, parse_link, recorded_tiers};

const AFTER_HELP: &str = "\
Examples:
  Move module 'stock' to the cloud, at twice the load:
    cctf whatif shop --move stock=cloud0 --scale 2
  Faster cores at the edge, and a slower link to the cloud:
    cctf whatif shop --speed edge0=1.5 --link 'edge0->cloud0=20ms,50Mbit'
  Four slots instead of two in each instance of module 'cart'; the difference of p95 as JSON:
    cctf whatif shop --workers cart=4 --format json | jq .difference_ms.p95
  A node that the run does not have:
    cctf whatif shop --move cart=fog0 --tiers tiers.json

All flags together are one change. The recorded run is simulated twice: without and with the change. Everything that the flags do
not change is the same in both simulations, such as the arrivals (unless --scale is set). The two simulations are then repeated
with further loads, which are made of random stretches of the recorded load. Both get the same further loads, so the difference
between the two has a narrower interval than either of them. If the run has more than 40,000 invocations, only the first 40,000 are
simulated. The output has the calibration error: the difference between the simulated and the recorded response times of the
recorded run. This error widens the intervals.

As in cctf place, the answer is marked as not predicted if slots, CPUs or a link would be busy for more than 85% of the time. The
same applies if the CPU time of a module, the speed or cores of a node, or a link is unknown. docs/placement.md has the method.
cctf place ranks all placements.

Exit codes:
  0  the change is predicted
  1  lines of the run are damaged, a file cannot be read, or the command was interrupted
  2  a flag or the tiers are invalid, or the run does not exist or has no CPU times
  4  the change cannot be predicted; the output states why";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "Examples and exit codes: cctf whatif --help")]
pub struct WhatifArgs {
    #[command(flatten)]
    site: SiteFlags,
    /// Move a module, such as stock=cloud0. MODULE@NODE=NODE moves only the instances that were recorded on one node, such as
    /// stock@edge0=cloud0. Repeatable.
    #[arg(long = "move", value_name = "MODULE=NODE", value_parser = parse_place)]
    moves: Vec<Pair<String>>,
    /// Multiply the speed of a node, such as edge0=1.5. Repeatable.
    #[arg(long = "speed", value_name = "NODE=FACTOR", value_parser = parse_speed)]
    speeds: Vec<Pair<f64>>,
    /// Set the slots of each instance of a module, such as cart=4. Repeatable.
    #[arg(long = "workers", value_name = "MODULE=SLOTS", value_parser = parse_workers)]
    workers: Vec<Pair<u32>>,
    /// Set delay and rate of a link, one way, such as edge0->cloud0=20ms,50Mbit. Either value can be omitted. Repeatable.
    #[arg(long = "link", value_name = "U->V=DELAY,RATE", value_parser = parse_link)]
    links: Vec<LinkChange>,
    /// Path to a JSON file with nodes and links, as for cctf place. Default: the recorded nodes and links.
    #[arg(long, value_name = "FILE")]
    tiers: Option<PathBuf>,
}

fn parse_speed(text: &str) -> Result<Pair<f64>, String> {
    parse_pair(text, "edge0=1.5", parse_factor)
}

fn parse_workers(text: &str) -> Result<Pair<u32>, String> {
    parse_pair(text, "cart=4", |slots| {
        parse_whole(slots, 1..=cctf_stack::stand_ins::placement::SLOTS_MAX)
    })
}

pub fn run(args: &WhatifArgs) -> anyhow::Result<ExitCode> {
    let window = args.site.window.window()?;
    args.check_any()?;
    refuse_twice("--move", &args.moves)?;
    refuse_twice("--workers", &args.workers)?;
    refuse_twice("--speed", &args.speeds)?;
    let (run, part) = find(args.site.run.as_deref(), &args.site.logs_dir)?;
    let (site, notes, damaged) = read_site(&run, &part, window)?;
    let recorded = match &args.tiers {
        Some(path) => read_tiers(path, &site, |_| {})?,
        None => recorded_tiers(&site),
    };
    let (changed, change) = args.flags().change(&site, &recorded)?;
    let stop = interrupt::stop_flag();
    let bar = BytesBar::of("simulations");
    let options = args.site.options(Metric::P95, 1);
    let answered = what_if(
        &site,
        (&recorded, &changed),
        &change,
        &options,
        &|phase, done, total| {
            bar.show(phase, done as u64, total as u64);
            !stop.load(Ordering::Relaxed)
        },
    );
    bar.clear();
    let mut answer = answered?;
    answer.notes.extend(notes);
    match args.site.format {
        OutputFormat::Table => print(&table::answer(&answer, &args.title(&answer.run_id)))?,
        OutputFormat::Json => print_json(&answer)?,
    }
    damages::show_count(damaged);
    Ok(ExitCode::from(
        match answer.after.not_predicted_because.is_empty() {
            false => UNDECIDED,
            true if damaged > 0 => FAILED,
            true => DONE,
        },
    ))
}

impl WhatifArgs {
    fn check_any(&self) -> Result<(), UsageError> {
        let is_empty = self.moves.is_empty()
            && self.speeds.is_empty()
            && self.workers.is_empty()
            && self.links.is_empty();
        match is_empty && self.site.scale == 1.0 {
            true => Err(UsageError(
                "nothing changes: add --move, --speed, --workers, --link or --scale; cctf whatif --help has examples".to_owned(),
            )),
            false => Ok(()),
        }
    }

    fn flags(&self) -> Flags<'_> {
        Flags {
            moves: &self.moves,
            speeds: &self.speeds,
            workers: &self.workers,
            links: &self.links,
            scale: self.site.scale,
        }
    }

    /// The change in words.
    fn title(&self, run_id: &str) -> String {
        let mut changes: Vec<String> = self
            .moves
            .iter()
            .map(|pair| format!("{} on {}", pair.name, pair.value))
            .collect();
        changes.extend(
            self.speeds
                .iter()
                .map(|pair| format!("{} {} times as fast", pair.name, pair.value)),
        );
        changes.extend(
            self.workers
                .iter()
                .map(|pair| format!("{} with {} slots", pair.name, pair.value)),
        );
        changes.extend(self.links.iter().map(LinkChange::to_string));
        changes.extend((self.site.scale != 1.0).then(|| format!("{} times the load", self.site.scale)));
        format!("{run_id}, with {}", changes.join(", "))
    }
}
