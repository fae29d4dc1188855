//! `cctf ls`: lists the runs in a folder, one line for each.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use cctf_proto::cctf::Milliseconds;
use clap::Args;
use indicatif::HumanBytes;
use rundir::listing::{ListedRun, RunState, list};
use rundir::validate::{Options, validate_with};
use serde::Serialize;

use super::cells::{UNKNOWN, counted, printable, table, utc_time};
use super::display::BytesBar;
use super::{DONE, FAILED, Format, UsageError, print, print_json};

const AFTER_HELP: &str = "\
Examples:
  cctf ls
  cctf ls --validate
  cctf ls archive --format json | jq -r '.[] | select(.state == \"ended\") | .name'

Columns:
  run          name of the run's folder. A long run has several folders (parts: RUN_ID-0002 and so on), but only one line
  started      start of the run, UTC
  ended        end of the run, UTC. 'running': the run has not ended. 'interrupted': it has not ended, but its files have not
               changed for five minutes
  length       time from the start to the end or, without an end, to the last change
  invocations, calls
               number of rows, as in run_meta.json. While the run is running, this file is updated later than the rows
  size         total size of all files in all parts
  parts        number of existing parts
  nodes        number of nodes in nodes.json
  merged       'yes' if the folder is the result of cctf merge, convert or anonymise, or of a simulation. The command recognises
               such a folder by its aligned clocks, or because it has no lock file of a normalizer
  check        'ok' if all files exist, run_meta.json is valid, and the file sizes are plausible. Otherwise, the first problem
               and the number of further ones. With --validate, the result of the validation replaces 'ok': 'valid', the
               number of warnings or errors, or 'unreadable'. If there is also a problem, it follows this result. 'output of
               merge --rests' marks a folder that is not a run, because it was merged without --rows: its invocations and calls
               are in the buckets

Without --validate, the command reads no rows, but only run_meta.json, nodes.json, and the names, sizes and last bytes of files.
It skips folders without a subfolder cctf, because they are not runs.

Exit codes:
  0  the runs were listed, including damaged ones
  1  with --validate, at least one run breaks a rule or cannot be read; or the list cannot be printed
  2  LOGS cannot be read or is itself a run, or invalid flag";

#[derive(Debug, Clone, Args)]
#[command(after_long_help = AFTER_HELP, after_help = "Columns, examples and exit codes: cctf ls --help")]
pub struct LsArgs {
    /// Path to the folder that contains all runs.
    #[arg(env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "LOGS")]
    logs_dir: PathBuf,
    /// Check whether each run follows all rules of CCTF. This reads all rows.
    #[arg(long)]
    validate: bool,
    /// Output format: text for columns, json for one array.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

/// A run and the result of its validation.
#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    run: ListedRun,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<Validation>,
}

/// Findings in all parts of a run.
#[derive(Serialize, Default)]
struct Validation {
    errors: u64,
    warnings: u64,
    /// Parts that could not be read.
    unreadable: u64,
}

impl Validation {
    fn is_valid(&self) -> bool {
        self.errors == 0 && self.unreadable == 0
    }
}

pub fn run(args: &LsArgs) -> anyhow::Result<ExitCode> {
    let logs_dir = &args.logs_dir;
    if logs_dir.join(rundir::CCTF).is_dir() {
        return Err(UsageError(format!(
            "cannot list {}: it is the folder of one run; pass the folder that contains it",
            logs_dir.display()
        ))
        .into());
    }
    let runs = list(logs_dir, SystemTime::now()).map_err(|error| {
        UsageError(format!(
            "cannot list runs: {error}; pass the folder that contains all runs"
        ))
    })?;
    let bar = BytesBar::new();
    let mut on_bytes = bar.counter("checking", runs.iter().map(|run| run.bytes).sum());
    let entries: Vec<Entry> = runs
        .into_iter()
        .map(|mut run| Entry {
            // The output of `cctf merge --rests` has no invocations and calls that could be checked.
            validation: (args.validate && !run.rests).then(|| validation(args, &mut run, &mut on_bytes)),
            run,
        })
        .collect();
    bar.clear();
    match args.format {
        Format::Json => print_json(&entries)?,
        Format::Text if entries.is_empty() => {
            print(&format!(
                "no runs in {}\n",
                printable(&logs_dir.to_string_lossy())
            ))?;
        }
        Format::Text => print(&text(&entries))?,
    }
    let are_valid = entries
        .iter()
        .all(|entry| entry.validation.as_ref().is_none_or(Validation::is_valid));
    Ok(ExitCode::from(if are_valid { DONE } else { FAILED }))
}

/// Validates all parts. If a part cannot be read, the reason is added to the run's problems.
fn validation(args: &LsArgs, run: &mut ListedRun, on_bytes: &mut dyn FnMut(u64)) -> Validation {
    let options = Options {
        findings_kept_per_rule: 0,
        ..Options::default()
    };
    let mut all = Validation::default();
    for part in &run.parts {
        match validate_with(&args.logs_dir.join(part), options, on_bytes) {
            Ok(report) => {
                all.errors += report.errors;
                all.warnings += report.warnings;
            }
            Err(error) => {
                all.unreadable += 1;
                run.problems.push(error.to_string());
            }
        }
    }
    all
}

fn text(entries: &[Entry]) -> String {
    let titles = [
        "run",
        "started",
        "ended",
        "length",
        "invocations",
        "calls",
        "size",
        "parts",
        "nodes",
        "merged",
        "check",
    ];
    let rows = entries.iter().map(|entry| {
        let run = &entry.run;
        [
            printable(&run.name),
            run.started_ts.map_or_else(unknown, time),
            match run.state {
                RunState::Ended => run.ended_ts.map_or_else(unknown, time),
                RunState::Running => "running".to_owned(),
                RunState::Interrupted => "interrupted".to_owned(),
                RunState::Unknown => unknown(),
            },
            run.length_ms.map_or_else(unknown, length),
            run.invocations.to_string(),
            run.calls.to_string(),
            HumanBytes(run.bytes).to_string(),
            run.parts.len().to_string(),
            run.nodes.map_or_else(unknown, |nodes| nodes.to_string()),
            run.merged
                .map_or(UNKNOWN, |merged| if merged { "yes" } else { "no" })
                .to_owned(),
            check(entry),
        ]
    });
    let rows: Vec<_> = rows.collect();
    table(titles, &rows, &[3, 4, 5, 6, 7, 8])
}

fn unknown() -> String {
    UNKNOWN.to_owned()
}

fn check(entry: &Entry) -> String {
    let problems = &entry.run.problems;
    let found = match &entry.validation {
        None if entry.run.rests => Some("output of merge --rests".to_owned()),
        None => None,
        Some(all) if all.unreadable > 0 => Some("unreadable".to_owned()),
        Some(all) if all.errors > 0 => Some(counted(all.errors, "error")),
        Some(all) if all.warnings > 0 => Some(counted(all.warnings, "warning")),
        Some(_) => Some("valid".to_owned()),
    };
    let problem = problems.first().map(|first| {
        let more = match problems.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        printable(first) + &more
    });
    match (found, problem) {
        (None, None) => "ok".to_owned(),
        (Some(only), None) | (None, Some(only)) => only,
        (Some(found), Some(problem)) => format!("{found}; {problem}"),
    }
}

fn time(unix: Milliseconds) -> String {
    utc_time(unix, false).unwrap_or_else(unknown)
}

/// A duration in its two largest units: `3d 04h`, `2h 05m`, `1m 40s`, `12.3s`, `50ms`.
fn length(length: Milliseconds) -> String {
    let seconds = length.as_ns() / 1_000_000_000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if days > 0 {
        format!("{days}d {:02}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h {:02}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m {:02}s", seconds % 60)
    } else if seconds > 0 {
        format!("{:.1}s", length.as_ns() as f64 / 1e9)
    } else {
        format!("{}ms", length.as_ns() / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_their_two_largest_units() {
        for (seconds, expected) in [
            (0.05, "50ms"),
            (12.34, "12.3s"),
            (100.0, "1m 40s"),
            (7_500.0, "2h 05m"),
            (273_600.0, "3d 04h"),
        ] {
            let ns = (seconds * 1e9) as i64;
            assert_eq!(length(Milliseconds::from_ns(ns)), expected);
        }
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(
            time(Milliseconds::from_ns(1_760_000_000_123_456_789)),
            "2025-10-09 08:53:20"
        );
    }
}
