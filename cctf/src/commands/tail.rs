//! `cctf tail`: prints the rows of a run as they are written, in columns or unchanged, or its traces as trees.

mod gather;
mod traces;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use cctf_proto::cctf::{File, Shape};
use cctf_proto::log_line;
use clap::Args;
use cli::interrupt;
use cli::units::parse_duration;
use rundir::ReadError;

use super::cells::printable;
use super::follow_rows::columns::{push_row, push_titles};
use super::follow_rows::{Begin, Follow, Notice, Sink, TailError, Until};
use super::run_target::target;
use super::{DONE, FAILED, Format, UsageError};

/// Number of rows on a terminal after which the titles are repeated; about one screen.
const TITLES_EVERY: u64 = 40;

const LINES_DEFAULT: u64 = 10;

const AFTER_HELP: &str = "\
Examples:
  The requests of the newest run: the last ten, then all new ones until the run ends:
    cctf tail
  The calls of a run's services. If the run has not started, the command waits for it:
    cctf tail gzip-60 --file calls
  All existing rows of a run, as JSON lines for a program:
    cctf tail gzip-60 --from-start --no-follow | jq -c 'select(.status >= 500) | {node, path, status, rt_ms}'
  CPU and memory of the nodes, also after the end of a run:
    cctf tail logs/latest --file host_metrics --stay
  The traces of the newest run, each as a tree as soon as it is finished:
    cctf tail --traces --format text

On a terminal, the command prints the rows in columns. Times are UTC, '-' means unknown, and ids are shortened to 8 digits. If the
output is a pipe or a file, the command copies the lines byte for byte. --format overrides this. The command shows only complete
lines.

A long run has further folders (RUN_ID-0002 and so on). The command continues with them, even if older folders are deleted
meanwhile. The command exits when the run ends, or at Ctrl-C.

With --traces, the command reads all invocations and calls, and prints each trace like cctf trace. With --format json, a trace is
one line. A trace counts as finished when the trace has had no new row for the time of --trace-idle, or when the run has ended.
Later rows of a finished trace are printed as another tree. 'incomplete' marks a trace that was printed before it was finished.
There are three possible reasons: --no-follow before the end of the run, a run that was deleted or cannot be read, or too many rows
in memory (100000 of one trace, over 200000 in all, or over 50000 traces). After Ctrl-C, the command reports the number of unfinished
traces, but does not print them. With --lines N, the command reads only the last N invocations and the last N calls, so earlier rows
are missing in the trees.

Exit codes:
  0  the run has ended, the requested lines were shown, Ctrl-C was pressed, or the reader closed the pipe
  1  the run was deleted before its end, lines were skipped because they are too long, or lines cannot be printed; with
     --traces also if rows are invalid
  2  a flag is invalid, or the run does not exist";

#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "Examples and exit codes: cctf tail --help")]
pub struct TailArgs {
    /// Run id, or path to a run's folder. The command waits for a run that has not started. Default: the newest run.
    #[arg(env = "RUN_ID", value_name = "DIR|RUN_ID")]
    run: Option<String>,
    /// File to show, with or without extension: invocations, calls, host_metrics, link_metrics, placement_events, system_stats.
    #[arg(long, env = "CCTF_FILE", default_value = "invocations", value_parser = parse_file)]
    file: File,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    logs_dir: PathBuf,
    /// Start with the last N lines. Default: 10; with --traces, all lines.
    #[arg(long, short = 'n', env = "CCTF_LINES", value_name = "N")]
    lines: Option<u64>,
    /// Start with the first line; overrides --lines.
    #[arg(long)]
    from_start: bool,
    /// Show the existing lines and exit.
    #[arg(long, conflicts_with = "stay")]
    no_follow: bool,
    /// Do not exit when the run ends: also show rows and parts (folders) of the run that appear after its end.
    #[arg(long)]
    stay: bool,
    /// Show each finished trace as a tree of its invocations and calls.
    #[arg(long, conflicts_with = "file")]
    traces: bool,
    /// Time without new rows after which a trace is finished.
    // OpenTelemetry SDKs send spans every 5 s by default, so the rows of a trace can come 5 s apart.
    #[arg(long, default_value = "6s", value_parser = parse_duration, value_name = "DURATION", requires = "traces")]
    trace_idle: Duration,
    /// Output format: text for columns or trees, json for the file's own lines or one object per trace. Default: text on a terminal, else json.
    #[arg(long, env = "CCTF_FORMAT", value_enum)]
    format: Option<Format>,
}

fn parse_file(text: &str) -> Result<File, String> {
    let has_lines = |file: &File| file.shape() == Shape::Lines;
    let names = || {
        let stems = File::ALL
            .iter()
            .filter(|file| has_lines(file))
            .map(|file| file.stem());
        stems.collect::<Vec<_>>().join(", ")
    };
    File::by_name(text)
        .filter(has_lines)
        .ok_or_else(|| format!("{text:?} is not a CCTF file with lines: use one of {}", names()))
}

pub fn run(args: &TailArgs) -> anyhow::Result<ExitCode> {
    let stop = interrupt::stop_flag();
    let follow = Follow {
        target: target(args.run.as_deref(), &args.logs_dir)?,
        file: args.file,
        begin: match args.lines {
            _ if args.from_start => Begin::FirstLine,
            Some(lines) => Begin::LastLines(lines),
            None if args.traces => Begin::FirstLine,
            None => Begin::LastLines(LINES_DEFAULT),
        },
        until: match (args.no_follow, args.stay) {
            (true, _) => Until::NoMore,
            (_, true) => Until::Interrupted,
            _ => Until::RunEnded,
        },
    };
    let mut notice = |notice: &Notice| log_line!("cctf: {}", printable(&notice.to_string()));
    let is_terminal = io::stdout().is_terminal();
    let usual = if is_terminal { Format::Text } else { Format::Json };
    let format = args.format.unwrap_or(usual);
    let outcome = match args.traces {
        true => traces::run(&follow, args.trace_idle, format, &mut notice, stop),
        false => follow.run(
            &mut Printer::new(args.file, format, is_terminal),
            &mut notice,
            stop,
        ),
    };
    match outcome {
        Ok(0) => Ok(ExitCode::from(DONE)),
        Ok(_) => Ok(ExitCode::from(FAILED)),
        // The reader has closed the pipe.
        Err(TailError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::from(DONE)),
        Err(
            error @ (TailError::NotThere(_)
            | TailError::Read(ReadError::NotARun { .. } | ReadError::PartOfMerge { .. })),
        ) => Err(UsageError(error.to_string()).into()),
        Err(error) => Err(error.into()),
    }
}

struct Printer {
    file: File,
    format: Format,
    is_terminal: bool,
    rows: u64,
    text: String,
}

impl Printer {
    fn new(file: File, format: Format, is_terminal: bool) -> Self {
        Self {
            file,
            format,
            is_terminal,
            rows: 0,
            text: String::new(),
        }
    }

    fn is_title_due(&self) -> bool {
        self.rows == 0 || (self.is_terminal && self.rows.is_multiple_of(TITLES_EVERY))
    }
}

impl Sink for Printer {
    fn lines(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        if self.format == Format::Json {
            stdout.write_all(lines)?;
            return stdout.flush();
        }
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            if self.is_title_due() {
                push_titles(self.file, &mut self.text);
            }
            push_row(self.file, line.trim_ascii_end(), &mut self.text);
            self.rows += 1;
        }
        stdout.write_all(self.text.as_bytes())?;
        self.text.clear();
        stdout.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_lines_can_be_followed() {
        assert_eq!(parse_file("calls"), Ok(File::Calls));
        assert_eq!(parse_file("system_stats.jsonl"), Ok(File::SystemStats));
        for wrong in ["nodes", "run_meta.json", "x"] {
            assert!(parse_file(wrong).unwrap_err().contains("host_metrics"), "{wrong}");
        }
    }
}
