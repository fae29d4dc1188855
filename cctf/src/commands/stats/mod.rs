//! `cctf stats`: prints figures of a run by module, endpoint, node and link.
//!
//! [`print`] prints them as tables, as JSON or as CSV; [`intervals`] adds confidence intervals; [`cpu`] is for `--cpu`.

mod cpu;
mod intervals;
mod print;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use analyze::stats::group::By;
use analyze::stats::lint::Verdict;
use analyze::stats::window::Window;
use analyze::stats::{Options, Stats, sql, stats};
use cctf_proto::log_line;
use clap::{Args, ValueEnum};
use cli::units::parse_duration;

use super::damages;
use super::display::BytesBar;
use super::run_target::find;
use super::{DONE, FAILED, UsageError};

const AFTER_HELP: &str = "\
Examples:
  cctf stats logs/latest
  cctf stats logs/latest --by endpoint --by link --warmup 10s
  cctf stats gzip-60 --from 30s --to 1m30s --format json | jq '.groups[] | {module_id, response_p99_ms}'
  Check whether the run can be used for a simulation:
    cctf stats logs/latest --lint
  Compute the same figures with SQL in DuckDB:
    cctf stats logs/latest --by module --sql | duckdb

Figures:
  calls, errors, bytes
  arrival rate, and the coefficient of variation (cv) of the times between arrivals
  number of requests in progress: computed by Little's law, and as sampled
  slots (each processes one request at a time), and their utilisation
  queue, service, response, CPU and network times
Counts and sums are exact, quantiles are within 1%. docs/stats.md describes each figure with its formula and its SQL.

The command reads all parts (folders) of a long run. If the run has not ended, it reads the rows that exist so far.

Exit codes:
  0  the figures were printed
  1  the figures were printed, but lines are damaged or, with --lint, a check failed; or a file cannot be read, or the figures
     cannot be printed
  2  a flag is invalid, or the run does not exist";

/// A way to group a run's invocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Grouping {
    /// Modules of the application.
    Module,
    /// Methods and routes of modules.
    Endpoint,
    /// Nodes of the instances.
    Node,
    /// Pairs of nodes: the caller's node and the callee's node.
    Link,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    /// Tables of text.
    #[value(alias = "text")]
    Table,
    /// One JSON object.
    Json,
    /// One line for each group, with titles.
    Csv,
}

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "Figures, examples and exit codes: cctf stats --help")]
pub struct StatsArgs {
    /// Run id, or path to a run's folder. Default: the newest run.
    #[arg(env = "RUN_ID", value_name = "DIR|RUN_ID")]
    run: Option<String>,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    logs_dir: PathBuf,
    /// Groups to print; can be repeated.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "module", action = clap::ArgAction::Append)]
    by: Vec<Grouping>,
    /// Count only invocations that start at or after this offset from the run's first invocation, such as 10s or 1m30s.
    #[arg(long, value_parser = parse_duration, value_name = "OFFSET")]
    from: Option<Duration>,
    /// Count only invocations that start before this offset.
    #[arg(long, value_parser = parse_duration, value_name = "OFFSET")]
    to: Option<Duration>,
    /// Leave out the beginning of the run; the same as --from.
    #[arg(long, value_parser = parse_duration, value_name = "DURATION", conflicts_with = "from")]
    warmup: Option<Duration>,
    /// Output format.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "table")]
    format: OutputFormat,
    /// Check whether the run's figures agree with each other: Little's law, CPU time, callers and callees, clocks.
    #[arg(long, conflicts_with_all = ["from", "to", "warmup", "sql"])]
    lint: bool,
    /// Print the SQL for DuckDB that computes the same figures, instead of the figures.
    #[arg(long)]
    sql: bool,
    /// For modules without cpu_time_ms, estimate the CPU time per request of each endpoint from process.cpu.time, and print it.
    #[arg(long, conflicts_with_all = ["by", "from", "to", "warmup", "sql", "lint"])]
    cpu: bool,
    /// With --cpu: also write the estimates to the run's module_inventory.json, with cpu_src=regressed. The run must have ended.
    #[arg(long, requires = "cpu")]
    write_inventory: bool,
}

impl StatsArgs {
    fn window(&self) -> Result<Window, UsageError> {
        let window = Window {
            from: self.from.or(self.warmup).unwrap_or_default(),
            to: self.to,
        };
        if window.to.is_some_and(|to| to <= window.from) {
            return Err(UsageError(
                "--to is not after the beginning: choose a larger --to, or a smaller --from or --warmup"
                    .to_owned(),
            ));
        }
        Ok(window)
    }

    /// Refuses a window that begins after the end of the run, because it has no figures.
    fn check_begin(&self, found: &Stats) -> Result<(), UsageError> {
        let begin = self.from.or(self.warmup).unwrap_or_default();
        let (Some(first), Some(last)) = (found.first_ns, found.last_ns) else {
            return Ok(());
        };
        let length = Duration::from_nanos(u64::try_from(last.saturating_sub(first)).unwrap_or(0));
        if begin.is_zero() || begin < length {
            return Ok(());
        }
        let flag = if self.from.is_some() { "--from" } else { "--warmup" };
        Err(UsageError(format!(
            "{flag} is {} s, but the run ends after {:.1} s: choose a smaller {flag}",
            begin.as_secs_f64(),
            length.as_secs_f64()
        )))
    }

    /// The requested groupings, without duplicates.
    fn groupings(&self) -> Vec<By> {
        let mut found = Vec::new();
        for grouping in &self.by {
            let by = match grouping {
                Grouping::Module => By::Module,
                Grouping::Endpoint => By::Endpoint,
                Grouping::Node => By::Node,
                Grouping::Link => By::Link,
            };
            if !found.contains(&by) {
                found.push(by);
            }
        }
        found
    }
}

pub fn run(args: &StatsArgs) -> anyhow::Result<ExitCode> {
    let options = Options {
        by: args.groupings(),
        window: args.window()?,
        lint: args.lint,
        threads: thread::available_parallelism().map_or(1, NonZero::get),
    };
    let (run, part) = find(args.run.as_deref(), &args.logs_dir)?;
    if args.cpu {
        if args.format == OutputFormat::Csv {
            let message = "--cpu has no CSV: choose --format table or --format json";
            return Err(UsageError(message.to_owned()).into());
        }
        return cpu::run(
            &run,
            &part,
            args.format == OutputFormat::Json,
            args.write_inventory,
        );
    }
    if args.sql {
        let parts = run.parts_from(&part)?;
        let folders: Vec<PathBuf> = parts
            .iter()
            .map(|part| run.folder(part).join(rundir::CCTF))
            .collect();
        let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        super::print(&sql::script(&folders, &options.by, options.window))?;
        return Ok(ExitCode::from(DONE));
    }
    let bar = BytesBar::new();
    let found = stats(&run, &part, &options, &mut |progress| {
        bar.show("reading", progress.done, progress.total);
    });
    bar.clear();
    let found = found?;
    args.check_begin(&found)?;
    report(&found, args.format);
    super::print(&match args.format {
        OutputFormat::Table => print::table(&found, options.window),
        OutputFormat::Json => print::json(&found)?,
        OutputFormat::Csv => print::csv(&found),
    })?;
    let is_broken = found
        .checks
        .iter()
        .any(|check| check.verdict == Verdict::Disagrees);
    let code = if found.damages.count > 0 || is_broken {
        FAILED
    } else {
        DONE
    };
    Ok(ExitCode::from(code))
}

/// Reports damaged lines. For machine-readable formats, also reports the notes, which these formats do not contain.
fn report(stats: &Stats, format: OutputFormat) {
    damages::show(&stats.damages);
    damages::show_count(stats.damages.count);
    if format == OutputFormat::Csv {
        for note in &stats.notes {
            log_line!("cctf: {note}");
        }
    }
}
