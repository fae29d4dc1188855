//! `cctf plan`: writes the plan of a recorded run, for simulators.
//!
//! [`whole`] reads the run and checks the plan; [`window`] has the flags that choose a part of it; [`summary`] is the printed text, with counts and the self-check.

pub mod summary;
pub mod whole;
pub mod window;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use cctf_proto::log_line;
use clap::Args;
use cli::interrupt;
use plan::plan::Plan;
use plan::plan::write::{StationFit, root_line};
use rundir::output::replace_with;

use super::cells::printable;
use super::damages;
use super::display::BytesBar;
use super::page_file::{Kind, check_file};
use super::run_target::find;
use super::{DONE, FAILED, Format, print};
use summary::Summary;
use whole::read;
use window::WindowFlags;

const AFTER_HELP: &str = "\
Examples:
  cctf plan logs/latest --out plan.jsonl
  For each invocation: the arrival time of its root, its module, and its own CPU time:
    jq -c 'select(.type == \"root\") | .at_ms as $at | .invocations[] | [$at, .module, .cpu_ms]' plan.jsonl
  One minute of a long run; the self-check as JSON:
    cctf plan gzip-60 --from 1m --to 2m --out minute.jsonl --format json | jq .self_check

A plan contains the work that the requests of a run needed. It does not contain the times for which requests waited in queues, for
slots and for CPUs: a simulator that executes the plan produces its own waits.
  first line   the run, the result of the self-check, and the stations. A station is an instance with a queue and slots; each slot
               processes one request at a time
  other lines  one root each: the arrival time, and all invocations that the root caused. A root is a request from outside. An
               invocation is a request that an instance processed. For each invocation, the line has the CPU time, the other time
               that the instance itself needed, the bytes and calls, and whether the invocation failed. Each call has a list of the
               calls that must end before this call starts
docs/plan.md describes each field, how fields are inferred, and how to execute a plan.

The self-check shows whether the plan can be used. It has two parts. First, it adds the recorded waits and network times to the
planned times of each invocation. If this sum differs from the recorded response time by more than 1 us, the invocation counts as a
deviation. Second, it compares simulated with recorded waits for slots. If the mean or the 95th percentile differs by more than 10%
and by more than 0.1 ms, a warning names the module.

Exit codes:
  0  the plan was written (a warning of the self-check is a result, not an error)
  1  the plan was written, but lines are damaged; or a file cannot be read, or the plan cannot be written
  2  a flag is invalid, the run does not exist, or --out cannot be written as a file";

/// The first bytes of each plan.
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
    #[command(flatten)]
    window: WindowFlags,
    /// Output format of the summary.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

pub fn run(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let window = args.window.window()?;
    check_file(&args.out, &PLAN)?;
    let (run, part) = find(args.run.as_deref(), &args.logs_dir)?;
    let whole = read(&run, &part, window)?;
    let (plan, fits, notes) = (&whole.plan, &whole.fits, &whole.notes);
    for warning in fits.iter().filter_map(StationFit::warning) {
        log_line!("cctf: {}", printable(&warning));
    }
    let summary = Summary::new(run.id(), plan, fits, notes)?;
    if args.format == Format::Text {
        print(&summary.text())?;
    }
    let bytes = write(&args.out, &summary.header, plan)?;
    match args.format {
        Format::Text => print(&summary.written(&args.out, bytes))?,
        Format::Json => print(&summary.json(&args.out, bytes))?,
    }
    let damaged = plan.recorded.notes.damaged_lines;
    damages::show_count(damaged);
    Ok(ExitCode::from(if damaged > 0 { FAILED } else { DONE }))
}

/// Writes the plan and returns its number of bytes.
fn write(out: &Path, header: &str, plan: &Plan) -> anyhow::Result<u64> {
    let bar = BytesBar::new();
    // From here on, there is a temporary file that an interrupt must remove.
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
            // Estimates the total size: the remaining lines are assumed to have the same mean size.
            let total = u128::from(written_bytes) * u128::from(plan.counts.roots) / number;
            bar.show("writing", written_bytes, u64::try_from(total).unwrap_or(u64::MAX));
        }
        line.push(b'\n');
        file.write_all(&line)
    });
    bar.clear();
    written
}
