//! `cctf plan`: a recorded run as a plan, for simulators.
//!
//! [`summary`] is the printed text: counts and the self-check.

mod summary;

use std::io::{self, Write as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use analyze::endpoint_cpu::{Options, endpoint_cpu};
use cctf_proto::cctf::{File, Part};
use cctf_proto::log_line;
use clap::Args;
use cli::interrupt;
use cli::units::parse_duration;
use plan::plan::write::{StationFit, root_line};
use plan::plan::{Plan, Recorded, Regressed, Window, read};
use plan::stations::{Refusals, fits, simulate_with};
use plan::work::Waited;
use rundir::output::replace_with;
use rundir::parts::{Run, State};

use super::cells::printable;
use super::damages;
use super::display::BytesBar;
use super::page_file::{Kind, check_file};
use super::run_target::find;
use super::{DONE, FAILED, Format, UsageError, print};
use summary::Summary;

const AFTER_HELP: &str = "\
Examples:
  cctf plan logs/latest --out plan.jsonl
  For each invocation: the arrival of its root, its module, and its own CPU time:
    jq -c 'select(.type == \"root\") | .at_ms as $at | .invocations[] | [$at, .module, .cpu_ms]' plan.jsonl
  One minute of a long run; the self-check as JSON:
    cctf plan gzip-60 --from 1m --to 2m --out minute.jsonl --format json | jq .self_check

A plan is the work that a run asked of its system, but not the waits that resulted. The first line has the run, its stations and
the self-check. Each further line has one root: its arrival, and all invocations below it, with their own CPU time, other own time,
bytes, failures and calls. Each call has the calls that must end before it. Queue times, and waits for slots and CPUs, are not
work: they arise again when the plan is executed. docs/plan.md describes each field, how it is inferred, and how to execute a plan.

The self-check shows whether the plan can be used. The plan plus the recorded waits must give each recorded response
time to within 1 us. Otherwise the invocation counts as a deviation. The self-check also compares simulated queue times with the
recorded ones. If they differ by more than 10% and by more than 0.1 ms, a warning names the module.

Exit codes:
  0  the plan was written (a warning of the self-check is a result, not an error)
  1  the plan was written, but lines are damaged; or a file cannot be read, or the plan cannot be written
  2  a flag is invalid, the run does not exist, or --out cannot be written as a file";

/// The beginning of each plan.
const PLAN: Kind = Kind {
    begin: "{\"type\":\"plan\"",
    name: "a plan",
};

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "Examples and exit codes: cctf plan --help")]
pub struct PlanArgs {
    /// Run id, or path to a run's folder. Default: the newest run.
    #[arg(env = "RUN_ID", value_name = "DIR|RUN_ID")]
    run: Option<String>,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    logs_dir: PathBuf,
    /// Path to the plan. An earlier plan is replaced when the new one is complete.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Only roots that arrive at or after this offset from the run's first root, such as 10s or 1m30s, with everything below them.
    #[arg(long, value_parser = parse_duration, value_name = "OFFSET")]
    from: Option<Duration>,
    /// Only roots that arrive before this offset.
    #[arg(long, value_parser = parse_duration, value_name = "OFFSET")]
    to: Option<Duration>,
    /// Output format of the summary.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

impl PlanArgs {
    fn window(&self) -> Result<Window, UsageError> {
        let from = self.from.unwrap_or_default();
        if self.to.is_some_and(|to| to <= from) {
            let message = "--to is not after the beginning: choose a larger --to, or a smaller --from";
            return Err(UsageError(message.to_owned()));
        }
        Ok(Window { from, to: self.to })
    }
}

pub fn run(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let window = args.window()?;
    check_file(&args.out, &PLAN)?;
    let (run, part) = find(args.run.as_deref(), &args.logs_dir)?;
    let bar = BytesBar::new();
    // With a window, the invocations are read three times.
    let passes = if window == Window::default() { 1 } else { 3 };
    let total = bytes_of(&run, &part, File::Invocations)? * passes + bytes_of(&run, &part, File::Calls)?;
    let found = read(&run, &part, window, &mut bar.counter("reading", total));
    bar.clear();
    let (recorded, span) = found?;
    let (regressed, mut notes) = regression(&run, &part, &recorded)?;
    notes.extend(open_note(&run, &part)?);
    let plan = Plan::new(recorded, span, &regressed);
    let fits = station_fits(&plan);
    notes.splice(0..0, plan.notes());
    if window.from > Duration::ZERO {
        notes.push(
            "requests before the window are not simulated: queues are empty at its beginning".to_owned(),
        );
    }
    for warning in fits.iter().filter_map(StationFit::warning) {
        log_line!("cctf: {}", printable(&warning));
    }
    let summary = Summary::new(run.id(), &plan, &fits, &notes)?;
    if args.format == Format::Text {
        print(&summary.text())?;
    }
    let bytes = write(&args.out, &summary.header, &plan)?;
    match args.format {
        Format::Text => print(&summary.written(&args.out, bytes))?,
        Format::Json => print(&summary.json(&args.out, bytes))?,
    }
    let damaged = plan.recorded.works.notes.damaged_lines;
    damages::show_count(damaged);
    Ok(ExitCode::from(if damaged > 0 { FAILED } else { DONE }))
}

fn bytes_of(run: &Run, first: &Part, file: File) -> anyhow::Result<u64> {
    let parts = run.parts_from(first)?;
    let sizes = parts.iter().map(|part| run.path(part, file).metadata());
    Ok(sizes.map(|data| data.map_or(0, |data| data.len())).sum())
}

/// Mean CPU times by endpoint for invocations that report none, and what the regression lacks.
fn regression(run: &Run, part: &Part, recorded: &Recorded) -> anyhow::Result<(Regressed, Vec<String>)> {
    let mut regressed = Regressed::default();
    let rows = recorded.works.works.iter().zip(&recorded.invocations);
    let lacks = |(work, facts): (&plan::work::Work, &plan::plan::InvocationFacts)| {
        facts.cpu_ns.is_none() && work.waited != Waited::Refused
    };
    if !rows.into_iter().any(lacks) {
        return Ok((regressed, Vec::new()));
    }
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let bar = BytesBar::new();
    let found = endpoint_cpu(run, part, &Options::all(threads), &mut |progress| {
        bar.show("regressing", progress.done, progress.total);
    });
    bar.clear();
    let found = found?;
    for module in found.modules {
        for endpoint in module.endpoints.into_iter().filter(|endpoint| !endpoint.is_other) {
            if let Ok(estimate) = endpoint.cpu {
                let key = (module.module_id.clone(), endpoint.method, endpoint.route);
                regressed.insert(key, (estimate.mean * 1e9).round() as i64);
            }
        }
    }
    Ok((regressed, found.notes))
}

/// A run without an end can get further rows.
fn open_note(run: &Run, first: &Part) -> anyhow::Result<Option<String>> {
    let last = run.parts_from(first)?.pop();
    let is_open = last.map_or(Ok(false), |last| {
        run.state(&last).map(|state| state == State::Open)
    })?;
    Ok(is_open.then(|| "the run has not ended: the plan has the rows written so far".to_owned()))
}

/// Recorded and simulated waits by module. Requests are refused as recorded: one other refusal would change all later waits.
fn station_fits(plan: &Plan) -> Vec<StationFit> {
    let works = &plan.recorded.works;
    let has_slots = works
        .names
        .instances
        .iter()
        .any(|instance| instance.station.slots.is_some());
    if !has_slots {
        return Vec::new();
    }
    let outcomes = simulate_with(works, Refusals::AsRecorded);
    fits(works, &outcomes).iter().map(StationFit::new).collect()
}

/// Writes the plan and returns its number of bytes.
fn write(out: &Path, header: &str, plan: &Plan) -> anyhow::Result<u64> {
    let bar = BytesBar::new();
    // Only from here on is there a temporary file to remove.
    let stop = interrupt::stop_flag();
    let written = replace_with(out, |file| {
        let (mut line, mut written_bytes) = (header.as_bytes().to_vec(), 0);
        for (number, tree) in (1_u128..).zip(plan.trees()) {
            line.push(b'\n');
            file.write_all(&line)?;
            line.clear();
            root_line(plan, &tree, &mut line)?;
            if stop.load(Ordering::Relaxed) {
                return Err(io::Error::other("interrupted"));
            }
            written_bytes += line.len() as u64;
            // The size of the lines so far is that of all others.
            let total = u128::from(written_bytes) * u128::from(plan.counts.roots) / number;
            bar.show("writing", written_bytes, u64::try_from(total).unwrap_or(u64::MAX));
        }
        line.push(b'\n');
        file.write_all(&line)
    });
    bar.clear();
    written
}
