//! `cctf report`: recorded runs as one offline HTML file.

use std::fs;
use std::io::Read as _;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use cctf_proto::log_line;
use clap::Args;
use cli::shell::quoted;
use report::gather::{Options, gather};
use report::model::RunData;
use report::render::{RUNS_MAX, Rendered, render};
use rundir::output::replace_whole;

use super::cells::{counted, printable};
use super::damages;
use super::display::BytesBar;
use super::run_target::find;
use super::{DONE, FAILED, UsageError};

/// The beginning of a page. A file without it is not an earlier page, and may be the only copy of something.
const PAGE_BEGIN: &[u8] = b"<!doctype html>";

const AFTER_HELP: &str = "\
Examples:
  cctf report
  cctf report logs/latest --out latest.html
  cctf report before --against after --out compared.html
  cctf report json-60 gzip-60 hash-60 --out all.html

The page works offline, in light and dark, and has at most 500 KB at any length of the run. It shows verdicts, rates and
utilisation over time, a heat map of latencies in which a window of time can be chosen, figures of modules and endpoints with their
intervals, the call graph, links, hosts, the slowest, median and failed traces, validation and lint. docs/report.md describes it.

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
    /// Second run, to which the run is compared.
    #[arg(long, value_name = "DIR|RUN_ID")]
    against: Option<String>,
    /// Validate runs of more than 256 MiB, too. This takes memory in proportion to the run.
    #[arg(long)]
    validate: bool,
}

impl ReportArgs {
    /// The runs in the order of the page; none stands for the newest one.
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
    // All runs are looked up before the first one is read, which can take long.
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
    replace_whole(&args.out, html.as_bytes())?;
    let damaged = report_damages(&runs);
    super::print(&summary(args, html.len()))?;
    Ok(ExitCode::from(if damaged > 0 { FAILED } else { DONE }))
}

/// Names the first damaged lines of each run, and returns the number of all.
fn report_damages(runs: &[RunData]) -> u64 {
    let of_runs = || runs.iter().map(|run| &run.stats.damages);
    of_runs().for_each(damages::show);
    let count = of_runs().map(|damages| damages.count).sum();
    damages::show_count(count);
    count
}

fn summary(args: &ReportArgs, bytes: usize) -> String {
    let path = std::path::absolute(&args.out).unwrap_or_else(|_| args.out.clone());
    let runs = counted(
        args.runs.len().max(1) + usize::from(args.against.is_some()),
        "run",
    );
    let path = printable(&path.to_string_lossy());
    format!(
        "{path}: {runs}, {:.0} KB; open it in a browser, for example: xdg-open {}\n",
        bytes as f64 / 1e3,
        quoted(&path)
    )
}

/// Refuses a path to which no page can be written, before the runs are read.
fn check_out(out: &Path) -> Result<(), UsageError> {
    let refused = |cause: &str| {
        Err(UsageError(format!(
            "cannot write {}: {cause}; choose another path with --out",
            printable(&out.to_string_lossy())
        )))
    };
    match fs::metadata(out) {
        Ok(found) if found.is_dir() => return refused("it is a folder"),
        Ok(found) if !found.is_file() => return refused("it is not a regular file"),
        Ok(found) if found.len() > 0 && !is_page(out) => return refused("it exists and is not an HTML page"),
        Err(_) if out.is_symlink() => return refused("it is a link that leads nowhere"),
        _ if out.file_name().is_none() => return refused("it has no file name"),
        _ if out.as_os_str().as_encoded_bytes().ends_with(b"/") => return refused("it names a folder"),
        _ => {}
    }
    match fs::metadata(folder_of(out)) {
        Ok(folder) if folder.is_dir() => Ok(()),
        Ok(_) => refused("its folder is a file"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => refused("its folder does not exist"),
        Err(error) => refused(&error.to_string()),
    }
}

/// Whether a file can be an earlier page, which a new one may replace.
fn is_page(path: &Path) -> bool {
    let mut begin = [0; PAGE_BEGIN.len()];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut begin));
    read.is_ok() && begin == PAGE_BEGIN
}

fn folder_of(out: &Path) -> &Path {
    match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
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

    #[test]
    fn the_command_that_opens_a_page_takes_any_path() {
        let mut args = args(&["a"], None);
        args.out = "/it's here/page.html".into();
        let text = summary(&args, 1000);
        assert!(text.ends_with("xdg-open '/it'\\''s here/page.html'\n"), "{text}");
    }

    #[test]
    fn only_a_file_in_an_existing_folder_can_become_the_page() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert!(check_out(&path("new.html")).is_ok());
        fs::write(path("old.html"), "<!doctype html>\n<html></html>").unwrap();
        assert!(check_out(&path("old.html")).is_ok());
        fs::write(path("calls.jsonl"), "{\"trace_id\":1}\n").unwrap();
        std::os::unix::fs::symlink("nowhere", path("link")).unwrap();
        for refused in [
            folder.path().to_owned(),
            path("none/new.html"),
            path("new.html/"),
            path("old.html/new.html"),
            path("calls.jsonl"),
            path("link"),
            "/dev/null".into(),
            "..".into(),
        ] {
            let error = check_out(&refused).unwrap_err().to_string();
            assert!(error.starts_with("cannot write "), "{error}");
        }
    }
}
