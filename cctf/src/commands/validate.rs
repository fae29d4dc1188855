//! `cctf validate`: counts broken rules in a run's folder and shows the first findings of each.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cctf_proto::validate::{Finding, RULES, Report, Severity};
use clap::Args;
use rundir::RunFolder;
use rundir::validate::{Options, validate_with};

use super::cells::printable;
use super::display::BytesBar;
use super::{DONE, FAILED, Format, UsageError, print, print_json};

const AFTER_HELP: &str = "\
Examples:
  cctf validate logs/latest
  cctf validate logs/latest --format json | jq .counts

Exit codes:
  0  no rule is broken (warnings do not count)
  1  at least one rule is broken
  2  the folder is not a run or cannot be read, or the report cannot be printed";

#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct ValidateArgs {
    /// Path to the run's folder, or to the folder cctf inside it.
    dir: PathBuf,
    /// Output format.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
    /// Maximum number of findings (places that break a rule) to show for each rule. The counts include all findings.
    #[arg(long, env = "CCTF_MAX", default_value_t = 20, value_name = "N")]
    max: usize,
}

pub fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let report = check(&args.dir, args.max)?;
    match args.format {
        Format::Json => print_json(&report),
        Format::Text => print(&text(&args.dir, &report)),
    }
    // Exit code 1 is reserved for broken rules.
    .map_err(|error| UsageError(error.to_string()))?;
    Ok(ExitCode::from(if report.is_valid() { DONE } else { FAILED }))
}

/// Validates a folder and keeps `max` findings of each rule.
pub fn check(dir: &Path, max: usize) -> anyhow::Result<Report> {
    let options = Options {
        findings_kept_per_rule: max,
        ..Options::default()
    };
    let total = RunFolder::open(dir).map_or(0, |folder| folder.size_of_lines());
    let bar = BytesBar::new();
    let report = validate_with(dir, options, &mut bar.counter("checking", total));
    bar.clear();
    report.map_err(|error| UsageError(error.to_string()).into())
}

/// The findings, one per line, and a summary line.
pub fn text(dir: &Path, report: &Report) -> String {
    let mut out: String = report.broken.iter().map(|finding| line(dir, finding)).collect();
    for (rule, count) in &report.counts {
        let meaning = RULES
            .iter()
            .find(|known| known.id == *rule)
            .map_or("", |known| known.text);
        out += &format!("{rule}: {count} times ({meaning})\n");
    }
    let rows: u64 = report.lines.values().sum();
    let open = if report.open {
        ", the run has not ended"
    } else {
        ""
    };
    out + &match (report.errors, report.warnings) {
        (0, 0) => format!("valid: no broken rules in {rows} rows{open}\n"),
        (0, warnings) => format!("valid: {warnings} warnings in {rows} rows{open}\n"),
        (errors, warnings) => {
            format!("invalid: {errors} errors and {warnings} warnings in {rows} rows{open}\n")
        }
    }
}

fn line(dir: &Path, finding: &Finding) -> String {
    let place = finding.line.map_or_else(String::new, |line| format!(":{line}"));
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let file = dir.join(finding.file.name());
    format!(
        "{}{place}: {severity}: {} [{}]\n",
        printable(&file.to_string_lossy()),
        printable(&finding.message),
        finding.rule.id
    )
}
