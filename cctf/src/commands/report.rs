//! `cctf report`: writes recorded runs as one offline HTML file.

use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use cctf_proto::log_line;
use clap::Args;
use report::gather::{Options, gather};
use report::model::RunData;
use report::render::{RUNS_MAX, Rendered, render};

use super::damages;
use super::display::BytesBar;
use super::page_file::{check_out, write_page};
use super::run_target::find;
use super::{DONE, FAILED, UsageError};

const AFTER_HELP: &str = "\
Examples:
  cctf report
  cctf report logs/latest --out latest.html
  cctf report before --against after --out compared.html
  cctf report json-60 gzip-60 hash-60 --out all.html

The page works offline, in light and dark mode, and has at most 500 KB, however long the run is. It shows:
  the results of all checks, including those of cctf validate and cctf stats --lint
  rates and utilisation over time, and a heat map of latencies in which you can select a period
  statistics of modules and endpoints with confidence intervals
  the call graph, links and hosts
  the slowest, median and failed traces
docs/report.md describes the page.

Exit codes:
  0  the page was written
  1  the page was written, but lines are damaged; or a file cannot be read, or the page cannot be written
  2  a flag is invalid, a run does not exist, or --out cannot be written as a file, for example because it is a folder";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "Examples and exit codes: cctf report --help")]
pub struct ReportArgs {
    /// Run ids, or paths to runs' folders; at most 8. Default: the newest run.
    #[arg(env = "RUN_ID", value_name = "DIR|RUN_ID")]
    runs: Vec<String>,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    logs_dir: PathBuf,
    /// Path to the page. An existing file is replaced when the new page is complete.
    #[arg(
        long,
        env = "CCTF_REPORT_OUT",
        default_value = "report.html",
        value_name = "FILE"
    )]
    out: PathBuf,
    /// Second run, with which the first one is compared.
    #[arg(long, value_name = "DIR|RUN_ID")]
    against: Option<String>,
    /// Also validate runs of more than 256 MiB. The memory for this grows with the size of the run.
    #[arg(long)]
    validate: bool,
}

impl ReportArgs {
    /// The runs in the order of the page. `None` stands for the newest run.
    fn names(&self) -> Result<Vec<Option<&str>>, UsageError> {
        let mut names: Vec<Option<&str>> = self.runs.iter().map(|name| Some(name.as_str())).collect();
        if names.is_empty() {
            names.push(None);
        }
        if let Some(other) = &self.against {
            if names.len() > 1 {
                return Err(UsageError(format!(
                    "cannot compare {} runs: --against takes one run on each side; name one run, or leave out --against",
                    names.len()
                )));
            }
            names.push(Some(other));
        }
        if names.len() > RUNS_MAX {
            return Err(UsageError(format!(
                "cannot show {} runs in one page: the maximum is {RUNS_MAX}; write several pages",
                names.len()
            )));
        }
        Ok(names)
    }
}

pub fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let names = args.names()?;
    check_out(&args.out)?;
    // All runs are searched before the first one is read, because reading can take long.
    let found = names
        .into_iter()
        .map(|name| find(name, &args.logs_dir))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let options = Options {
        threads: thread::available_parallelism().map_or(1, NonZero::get),
        validates_large_runs: args.validate,
    };
    let mut runs = Vec::new();
    for (run, part) in &found {
        let bar = BytesBar::new();
        let data = gather(run, part, &options, &mut |progress| {
            bar.show("reading", progress.done, progress.total);
        });
        bar.clear();
        runs.push(data?);
    }
    let Rendered { html, warnings } = render(&runs, args.against.is_some());
    warnings.iter().for_each(|warning| log_line!("cctf: {warning}"));
    let written = write_page(&args.out, &html, runs.len())?;
    let damaged = report_damages(&runs);
    super::print(&written)?;
    Ok(ExitCode::from(if damaged > 0 { FAILED } else { DONE }))
}

/// Lists the first damaged lines of each run, and returns the total number of damaged lines.
pub(super) fn report_damages(runs: &[RunData]) -> u64 {
    let of_runs = || runs.iter().map(|run| &run.stats.damages);
    of_runs().for_each(damages::show);
    let count = of_runs().map(|damages| damages.count).sum();
    damages::show_count(count);
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(runs: &[&str], against: Option<&str>) -> ReportArgs {
        ReportArgs {
            runs: runs.iter().map(|&run| run.to_owned()).collect(),
            logs_dir: "logs".into(),
            out: "report.html".into(),
            against: against.map(str::to_owned),
            validate: false,
        }
    }

    #[test]
    fn runs_are_those_named_and_the_other_one_or_the_newest() {
        assert_eq!(args(&[], None).names().unwrap(), [None]);
        assert_eq!(args(&[], Some("b")).names().unwrap(), [None, Some("b")]);
        assert_eq!(args(&["a"], Some("b")).names().unwrap(), [Some("a"), Some("b")]);
        for refused in [args(&["a", "b"], Some("c")), args(&["a"; RUNS_MAX + 1], None)] {
            assert!(refused.names().is_err());
        }
        assert_eq!(args(&["a"; RUNS_MAX], None).names().unwrap().len(), RUNS_MAX);
    }
}
