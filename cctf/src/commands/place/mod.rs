//! `cctf place`: the placements of a recorded run's modules, predicted and ranked.
//!
//! - [`site`]: flags that `cctf whatif` has, too, and the run that both read.
//! - [`table`]: the ranking as text; [`page`]: as an offline page; [`files`]: one placement file for each of the best ones.

mod files;
mod page;
pub mod site;
pub mod table;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cctf_proto::log_line;
use clap::Args;
use cli::interrupt;
use cli::units::parse_duration;
use place::assignments::Choices;
use place::model::Report;
use place::predictor::Predictor;
use place::ranking::{Proposal, Ranking, rank};
use place::search::SearchError;
use place::strategy::{Limits, propose, summary};

use super::display::BytesBar;
use super::run_target::find;
use super::{DONE, FAILED, UsageError, damages, print, print_json, refuse_existing_out};
use site::{By, OutputFormat, Pair, SiteFlags, parse_place, read_site, read_tiers, refuse_twice};

/// Nothing can be predicted.
pub const UNDECIDED: u8 = 4;

const AFTER_HELP: &str = "\
Examples:
  cctf place logs/latest --tiers tiers.json
  Module 'front' stays on node ep0, and module 'cart' may not run there; twice the load; files for real runs of the best ten:
    cctf place shop --tiers tiers.json --pin front=ep0 --exclude cart=ep0 --scale 2 --out placements
    cctf run --stand-in shop --placement placements/1.json --run-id first
  A program of your own that proposes placements (a strategy). The output states how much worse they are than the best placement:
    cctf place shop --tiers tiers.json --strategy examples/strategies/greedy.py

--tiers names a JSON file with the nodes on which modules may run, and the links between them. Nodes of the recorded run have their
recorded cores, speeds and links, unless the file overrides them:
  {
    \"nodes\": {
      \"ep0\": {}, \"edge0\": {},
      \"cloud0\": {\"cores\": 8, \"mips_per_core\": 4500, \"price_per_hour\": 0.3}
    },
    \"links\": [{\"u\": \"edge0\", \"v\": \"cloud0\", \"delay_ms\": 20, \"rate_bps\": 50000000}],
    \"modules\": {\"front\": {\"on\": [\"ep0\"]}}
  }

Each placement is simulated with the plan of the run (cctf plan). The simulation models slots, speeds of nodes, links, and CPUs that
the modules of a node share. If a module has instances on several nodes, the instances on each node are placed separately, under a
name such as cart@edge0. All placements are simulated if there are at most 4,096; otherwise, a local search finds good ones. The best
placements are simulated again with further loads, which are made of random stretches of the recorded load. The 95% intervals are
computed from these simulations. The intervals also include the calibration error: the error of the simulation for the recorded
placement.

A placement is marked as not predicted if slots, CPUs or a link would be busy for more than 85% of the time. The same applies if the
CPU time of a moved module, the speed or cores of its node, or a link is unknown. docs/placement.md describes the file, the method and
the strategies.

Exit codes:
  0  placements were ranked
  1  lines of the run are damaged, a strategy failed, a file cannot be read or written, or the command was interrupted
  2  a flag or the tiers are invalid, the run does not exist or has no CPU times, or --out exists
  4  no placement can be predicted; the output states why";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "The file of --tiers, examples and exit codes: cctf place --help")]
pub struct PlaceArgs {
    #[command(flatten)]
    site: SiteFlags,
    /// Path to a JSON file with nodes, links and rules.
    #[arg(long, value_name = "FILE")]
    tiers: PathBuf,
    /// Keep a module on one node in all placements, such as front=ep0. MODULE@NODE=NODE applies only to the instances that were
    /// recorded on one node, such as front@edge0=ep0. Repeatable.
    #[arg(long = "pin", value_name = "MODULE=NODE", value_parser = parse_place)]
    pins: Vec<Pair<String>>,
    /// Keep a module off a node, such as cart=ep0. Repeatable.
    #[arg(long = "exclude", value_name = "MODULE=NODE", value_parser = parse_place)]
    exclusions: Vec<Pair<String>>,
    /// Statistic of the roots' response times by which placements are ranked.
    #[arg(long, value_enum, default_value = "p95")]
    by: By,
    /// Number of best placements to list. These placements are simulated again with the loads of --replications, and so are the
    /// recorded placement and the placements that programs of --strategy propose.
    #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    top: u16,
    /// Path to a program that proposes placements. Repeatable.
    ///
    /// The program reads a summary of the run and the tiers from standard input, and writes placements to standard output, both as JSON.
    #[arg(long = "strategy", value_name = "PROGRAM")]
    strategies: Vec<PathBuf>,
    /// Maximum time for which a program of --strategy may run.
    #[arg(long, default_value = "10s", value_name = "TIME", value_parser = parse_duration)]
    strategy_timeout: Duration,
    /// Print the summary that programs of --strategy read, and exit.
    #[arg(long)]
    strategy_input: bool,
    /// Path to a new folder for the placement files, and for the ranking as JSON and as an offline page.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn run(args: &PlaceArgs) -> anyhow::Result<ExitCode> {
    let window = args.site.window.window()?;
    refuse_twice("--pin", &args.pins)?;
    args.out.as_deref().map_or(Ok(()), refuse_existing_out)?;
    let (run, part) = find(args.site.run.as_deref(), &args.site.logs_dir)?;
    let (site, notes, damaged) = read_site(&run, &part, window)?;
    let tiers = read_tiers(&args.tiers, &site, |tiers| {
        args.pins.iter().for_each(|pin| tiers.pin(&pin.name, &pin.value));
        args.exclusions
            .iter()
            .for_each(|pair| tiers.exclude(&pair.name, &pair.value));
    })?;
    let choices = Choices::new(&site, &tiers);
    let predictor = Predictor {
        site: &site,
        tiers: &tiers,
        choices: &choices,
        slots: Default::default(),
        scale: args.site.scale,
    };
    let input = summary(&predictor, args.by.into())?;
    if args.strategy_input {
        print(&String::from_utf8_lossy(&input))?;
        return Ok(ExitCode::from(DONE));
    }
    let stop = interrupt::stop_flag();
    let proposals = args.proposals(&predictor, &input, stop)?;
    let options = args.site.options(args.by.into(), args.top.into());
    let bar = BytesBar::of("simulations");
    let ranked = rank(&predictor, proposals, &options, &|phase, done, total| {
        bar.show(phase, done as u64, total as u64);
        !stop.load(Ordering::Relaxed)
    });
    bar.clear();
    let ranking = ranked.map_err(|error| match error {
        SearchError::NoAssignment => anyhow::Error::new(UsageError(error.to_string())),
        error => error.into(),
    })?;
    let mut report = Report::new(&predictor, &ranking, &options, notes);
    if let Some(out) = &args.out {
        files::write(out, &ranking, &mut report)?;
    }
    match args.site.format {
        OutputFormat::Table => {
            print(&table::ranking(&report))?;
            print(&args.next_steps(&report, &run.folder(&part).to_string_lossy()))?;
        }
        OutputFormat::Json => print_json(&report)?,
    }
    damages::show_count(damaged);
    Ok(ExitCode::from(code(&ranking, damaged)))
}

fn code(ranking: &Ranking, damaged: u64) -> u8 {
    match ranking.predicted {
        0 => UNDECIDED,
        _ if damaged > 0 => FAILED,
        _ => DONE,
    }
}

impl PlaceArgs {
    /// What all strategies propose. They run one after the other, before anything is simulated.
    fn proposals(
        &self,
        predictor: &Predictor<'_>,
        input: &[u8],
        stop: &AtomicBool,
    ) -> anyhow::Result<Vec<Proposal>> {
        let limits = Limits {
            time: self.strategy_timeout,
            is_stopped: &|| stop.load(Ordering::Relaxed),
        };
        let mut proposals = Vec::new();
        for program in &self.strategies {
            log_line!("strategy {}", program.display());
            proposals.extend(propose(program, predictor, input, &limits)?);
        }
        Ok(proposals)
    }

    /// The flags of `cctf run --stand-in` for the load that was simulated.
    fn same_load(&self) -> String {
        let scale = self.site.scale;
        let by = if scale > 1.0 { "overlap" } else { "thin" };
        let scale = if scale == 1.0 {
            String::new()
        } else {
            format!(" --scale {scale} --by {by}")
        };
        self.site.window.text() + &scale
    }

    fn next_steps(&self, report: &Report, run: &str) -> String {
        let run = cli::shell::quoted(run);
        match &self.out {
            Some(out) if report.placements.iter().any(|placed| placed.file.is_some()) => {
                let out = std::path::absolute(out).unwrap_or_else(|_| out.clone());
                format!(
                    "placement files and the page {}: {}\nto run the first one: cctf run --stand-in {run}{} --placement {}\n",
                    files::PAGE,
                    out.display(),
                    self.same_load(),
                    cli::shell::quoted(&out.join("1.json").to_string_lossy())
                )
            }
            Some(_) => "no placement is predicted: no file was written\n".to_owned(),
            None => "to run one of these placements with stand-ins, add --out DIR, which writes its file\n"
                .to_owned(),
        }
    }
}
