//! `cctf compare`: decides whether two runs are the same workload, and shows what differs.
//!
//! - [`sheet`], [`tables`], [`values`]: the comparison as sentences, as tables and as formatted figures; [`text`]: prints them
//!   on a terminal.
//! - [`alarms`]: how often noise alone made replays on this machine differ.

pub(super) mod alarms;
mod sheet;
mod tables;
#[cfg(test)]
mod tests;
mod text;
mod values;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use cctf_proto::cctf::Part;
use cctf_proto::log_line;
use clap::{Args, ValueEnum};
use compare::margins::{Margins, MarginsError};
use compare::model::{Comparison, Verdict};
use report::gather::{Options, gather};
use report::render::{Rendered, render_verdict};
use report::sheet::Sheet;
use rundir::parts::Run;
use serde::Serialize;

use super::display::BytesBar;
use super::page_file::{check_out, write_page};
use super::run_target::find;
use super::{DONE, UsageError};
use alarms::Noise;

/// The runs differ.
const DIFFERS: u8 = 3;
/// The runs show neither sameness nor a difference, or the replay is void.
const UNDECIDED: u8 = 4;
/// Version of the JSON output. Fields may be added, but the meaning of a field never changes.
const VERSION: u32 = 1;

const AFTER_HELP: &str = "\
Examples:
  cctf compare before after
  cctf compare logs/recorded logs/replayed --format json | jq .verdict
  cctf compare before after --format html --out compared.html
  Write a file that changes two margins, and compare with these margins:
    printf 'service_mean = 0.05\\nresponse_p95 = 0.2\\n' > wide.toml
    cctf compare before after --margins wide.toml

A is the first run, B the second one. If one run replays the other, each request is compared with the recorded original, including
all calls that the request caused. Otherwise, the figures of modules and endpoints are compared.

Voters are the figures that take part in the verdict:
  load         lateness of the load driver, arrivals
  structure    call graph, statuses, slots (concurrent requests), overload failures
  by module    means of service time, CPU time, CPU wait and wake-up time; unexplained waits
  whole run    response times of requests from outside, minus simulated waits
A built-in simulator computes waits from arrivals, service times and slots. The part of a recorded wait that the simulation does not
reproduce is unexplained. Wake-up time is the time in which a slot is free, but its thread still waits for a CPU. Each voter has a
margin: the largest difference that does not count.

Verdicts:
  same         the 90% confidence interval of each voter's difference lies within the voter's margin
  differs      the interval of at least one voter's difference lies wholly outside the voter's margin, or a voter without an
               interval differs. For this verdict, the confidence level of the intervals is corrected for the number of voters
               (Holm's method). Slots have no interval. If one run replays the other, call graph, statuses and arrivals have none
               either
  cannot tell  the runs have too little data for an answer. The output states how many requests would be enough, if that can be
               estimated
  void         the load driver was late, so the modules did not get the intended arrivals

docs/compare.md describes voters, margins and the JSON output.

Exit codes:
  0  same
  1  a file cannot be read, or the result cannot be printed or written
  2  a flag or the file of margins is invalid, a run does not exist, or --out cannot be written as a page
  3  differs
  4  cannot tell, or void";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// Sentences, and tables of text.
    #[value(alias = "text")]
    Table,
    /// One JSON object.
    Json,
    /// An offline HTML page with the verdict and both runs side by side.
    Html,
}

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "Verdicts, examples and exit codes: cctf compare --help")]
pub struct CompareArgs {
    /// First run: run id, or path to a run's folder. Usually the recorded run.
    #[arg(value_name = "A")]
    first: String,
    /// Second run: run id, or path to a run's folder. Usually the replay.
    #[arg(value_name = "B")]
    second: String,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    logs_dir: PathBuf,
    /// Path to a TOML file of margins. A margin that the file does not name keeps its default.
    #[arg(long, env = "CCTF_MARGINS", value_name = "FILE")]
    margins: Option<PathBuf>,
    /// Output format.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "table")]
    format: OutputFormat,
    /// With --format html: path to the page. An existing page is replaced when the new one is complete. Default: compare.html.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The JSON output.
#[derive(Debug, Serialize)]
struct Output<'a> {
    version: u32,
    #[serde(flatten)]
    comparison: &'a Comparison,
    /// The verdicts of earlier replays on this machine; null if there are none.
    false_alarms: Option<&'a Noise>,
}

impl CompareArgs {
    /// The path of the page, if a page is written.
    fn page(&self) -> Result<Option<&Path>, UsageError> {
        match (self.format, &self.out) {
            (OutputFormat::Html, out) => {
                let out = out.as_deref().unwrap_or(Path::new("compare.html"));
                check_out(out)?;
                Ok(Some(out))
            }
            (_, Some(_)) => Err(UsageError(
                "--out is the path of a page: add --format html, or redirect the output".to_owned(),
            )),
            (_, None) => Ok(None),
        }
    }

    fn margins(&self) -> Result<Margins, MarginsError> {
        self.margins
            .as_deref()
            .map_or_else(|| Ok(Margins::default()), Margins::read)
    }
}

pub fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let page = args.page()?;
    // An invalid file of the user is refused before any run is read, like an invalid flag.
    let margins = args
        .margins()
        .map_err(|error| UsageError(cli::describe(&error)))?;
    let runs = found([&args.first, &args.second], &args.logs_dir)?;
    let mut found = compared(&runs, margins)?;
    let noise = alarms::noise(&args.logs_dir, &found).unwrap_or_else(|note| {
        found.notes.push(note);
        None
    });
    let code = exit_code(&found.verdict);
    if args.format == OutputFormat::Json {
        super::print_json(&Output {
            version: VERSION,
            comparison: &found,
            false_alarms: noise.as_ref(),
        })?;
        return Ok(code);
    }
    let sheet = sheet::sheet(&found, noise.as_ref().map(alarms::sentence));
    match page {
        Some(out) => {
            let written = write(out, &runs, &sheet)?;
            super::print(&format!(
                "{}\n{written}",
                super::cells::printable(&sheet.headline)
            ))?;
        }
        None => super::print(&text::text(&sheet))?,
    }
    Ok(code)
}

fn found(names: [&str; 2], logs_dir: &Path) -> anyhow::Result<[(Run, Part); 2]> {
    let [first, second] = names;
    let found = [find(Some(first), logs_dir)?, find(Some(second), logs_dir)?];
    let folders = found
        .each_ref()
        .map(|(run, part)| run.folder(part).canonicalize().ok());
    if folders[0].is_some() && folders[0] == folders[1] {
        // This usually happens with logs/latest: this link leads to the newest run, which is the second run by now.
        return Err(UsageError(format!(
            "cannot compare {first} with {second}: both are the run {}; pass two runs",
            found[0].1.run_id()
        ))
        .into());
    }
    Ok(found)
}

/// Compares two runs by their ids or paths.
///
/// # Errors
/// If a run does not exist or cannot be read.
pub fn between(names: [&str; 2], logs_dir: &Path, margins: Margins) -> anyhow::Result<Comparison> {
    compared(&found(names, logs_dir)?, margins)
}

fn compared(runs: &[(Run, Part); 2], margins: Margins) -> anyhow::Result<Comparison> {
    let options = compare::Options {
        margins,
        threads: threads(),
    };
    let [first, second] = runs;
    let bar = BytesBar::new();
    let found = compare::compare(
        [(&first.0, &first.1), (&second.0, &second.1)],
        &options,
        &mut |progress| bar.show("reading", progress.done, progress.total),
    );
    bar.clear();
    Ok(found?)
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

fn exit_code(verdict: &Verdict) -> ExitCode {
    ExitCode::from(match verdict {
        Verdict::Same => DONE,
        Verdict::Differs { .. } => DIFFERS,
        Verdict::CannotTell { .. } | Verdict::Void { .. } => UNDECIDED,
    })
}

/// Writes the page with the verdict and both runs. Returns a line for the user.
fn write(out: &Path, runs: &[(Run, Part); 2], sheet: &Sheet) -> anyhow::Result<String> {
    let options = Options {
        threads: threads(),
        validates_large_runs: false,
    };
    let read = |(run, part): &(Run, Part)| {
        let bar = BytesBar::new();
        let data = gather(run, part, &options, &mut |progress| {
            bar.show("drawing", progress.done, progress.total);
        });
        bar.clear();
        data
    };
    let [first, second] = runs;
    let data = [read(first)?, read(second)?];
    let Rendered { html, warnings } = render_verdict(&data, sheet);
    warnings.iter().for_each(|warning| log_line!("cctf: {warning}"));
    write_page(out, &html, data.len())
}
