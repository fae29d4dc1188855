//! `cctf tail`: the rows of a run as they come, in columns for people and unchanged for programs.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cctf_proto::cctf::{File, Part, Shape};
use cctf_proto::keys::{self, LATEST_LINK};
use cctf_proto::log_line;
use clap::Args;
use rundir::ReadError;
use rundir::parts::Target;

use super::follow_rows::columns::{push_row, push_titles};
use super::follow_rows::{Begin, Follow, Sink, TailError, Until};
use super::{DONE, FAILED, Format, UsageError};
use cli::interrupt;

/// Rows on a terminal after which the titles are shown again: about a screen.
const TITLES_EVERY: u64 = 40;

const AFTER_HELP: &str = "\
Examples:
  The newest run, from its last ten invocations on, until it has ended:
    cctf tail
  A run that is yet to begin (it is waited for), and what its services call:
    cctf tail gzip-60 --file calls
  All of a run's rows that are there, as JSON lines for a program:
    cctf tail gzip-60 --from-start --no-follow | jq -c 'select(.status >= 500) | {node, path, status, rt_ms}'
  CPU and memory of the nodes, on and on, whatever runs end:
    cctf tail logs/latest --file host_metrics --stay

On a terminal each row is one line of columns: times are UTC, '-' is what is not known, ids are their first 8 digits. Into a
pipe or a file go the lines themselves, byte by byte; --format chooses. A line is shown when it is whole, never before.

A long run goes on in other folders (RUN_ID-0002 and so on): so does this, also when the old ones are deleted meanwhile. It
ends when the run has ended, or at Ctrl-C.

Exit codes:
  0  the run has ended, the lines that were asked for are shown, or it was stopped by Ctrl-C or by who reads the pipe
  1  the run was deleted before its end, lines were left out because they were too long, or lines could not be printed
  2  a flag is wrong, or what is named is no run";

/// Flags of `cctf tail`.
#[derive(Debug, Clone, Args)]
#[command(args_override_self = true, after_long_help = AFTER_HELP, after_help = "More, with examples and exit codes: cctf tail --help")]
pub struct TailArgs {
    /// Run id, which is waited for if it is not there yet, or a run's folder. Default: the newest run.
    #[arg(env = "RUN_ID", value_name = "DIR|RUN_ID")]
    run: Option<String>,
    /// Which file, with or without its ending: invocations, calls, host_metrics, link_metrics, placement_events, system_stats.
    #[arg(long, env = "CCTF_FILE", default_value = "invocations", value_parser = parse_file)]
    file: File,
    /// Folder of all runs, in which run ids and the newest run are looked for.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    logs_dir: PathBuf,
    /// Begin with so many of the last lines that are there.
    #[arg(long, short = 'n', env = "CCTF_LINES", default_value_t = 10, value_name = "N")]
    lines: u64,
    /// Begin with the first line that is there, whatever --lines says.
    #[arg(long)]
    from_start: bool,
    /// Do not wait for lines: show what is there.
    #[arg(long, conflicts_with = "stay")]
    no_follow: bool,
    /// Stay when the run has ended: rows that come late are shown, too, and whatever part follows.
    #[arg(long)]
    stay: bool,
    /// text: columns; json: the file's own lines. Default: columns on a terminal, else the lines.
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
        .ok_or_else(|| format!("{text:?} is no file of lines: use one of {}", names()))
}

/// Runs the subcommand.
pub fn run(args: &TailArgs) -> anyhow::Result<ExitCode> {
    let stop = interrupt::stop_flag();
    let follow = Follow {
        target: target(args.run.as_deref(), &args.logs_dir)?,
        file: args.file,
        begin: match args.from_start {
            true => Begin::FirstLine,
            false => Begin::LastLines(args.lines),
        },
        until: match (args.no_follow, args.stay) {
            (true, _) => Until::NoMore,
            (_, true) => Until::Interrupted,
            _ => Until::RunEnded,
        },
    };
    let mut printer = Printer::new(args.file, args.format);
    let outcome = follow.run(&mut printer, &mut |notice| log_line!("cctf: {notice}"), stop);
    match outcome {
        Ok(0) => Ok(ExitCode::from(DONE)),
        Ok(_) => Ok(ExitCode::from(FAILED)),
        // Who reads has seen enough.
        Err(TailError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::from(DONE)),
        Err(error @ (TailError::NotThere(_) | TailError::Read(ReadError::NotARun { .. }))) => {
            Err(UsageError(error.to_string()).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// What is meant by a run's name: what has a slash is a folder, and so is a folder that no run id is known for.
fn target(named: Option<&str>, logs_dir: &Path) -> Result<Target, UsageError> {
    let named = named.filter(|named| !named.is_empty());
    Ok(match named {
        None | Some(LATEST_LINK) => Target::Latest(logs_dir.to_owned()),
        Some(path) if path.contains('/') => Target::Folder(path.into()),
        Some(name) if Path::new(name).is_dir() && !logs_dir.join(name).exists() => {
            Target::Folder(name.into())
        }
        // A later part is followed by its folder's name, too.
        Some(id) if Part::parse(id).is_some_and(|(run_id, _)| keys::is_valid_run_id(run_id)) => {
            Target::RunId(logs_dir.to_owned(), id.to_owned())
        }
        Some(id) => Target::RunId(logs_dir.to_owned(), keys::parse_run_id(id).map_err(UsageError)?),
    })
}

/// Writes rows to standard output.
struct Printer {
    file: File,
    format: Format,
    is_terminal: bool,
    rows: u64,
    text: String,
}

impl Printer {
    fn new(file: File, format: Option<Format>) -> Self {
        let is_terminal = io::stdout().is_terminal();
        let usual = if is_terminal { Format::Text } else { Format::Json };
        Self {
            file,
            format: format.unwrap_or(usual),
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
    fn a_name_is_a_run_id_and_what_has_a_slash_a_folder() {
        let logs = tempfile::tempdir().unwrap();
        let of = |named| target(named, logs.path());
        let latest = || Target::Latest(logs.path().to_owned());
        assert_eq!(of(None).unwrap(), latest());
        assert_eq!(of(Some("")).unwrap(), latest());
        assert_eq!(of(Some("latest")).unwrap(), latest());
        assert_eq!(of(Some("logs/r")).unwrap(), Target::Folder("logs/r".into()));
        assert_eq!(
            of(Some("r-1")).unwrap(),
            Target::RunId(logs.path().to_owned(), "r-1".to_owned())
        );
        // Tests run in the crate's folder, which has a folder src.
        assert_eq!(of(Some("src")).unwrap(), Target::Folder("src".into()));
        std::fs::create_dir(logs.path().join("src")).unwrap();
        assert!(matches!(of(Some("src")).unwrap(), Target::RunId(..)));
        assert!(of(Some(".hidden")).unwrap_err().to_string().contains("run id"));
        assert_eq!(
            of(Some("r-0002")).unwrap(),
            Target::RunId(logs.path().to_owned(), "r-0002".to_owned())
        );
    }

    #[test]
    fn only_files_of_lines_can_be_followed() {
        assert_eq!(parse_file("calls"), Ok(File::Calls));
        assert_eq!(parse_file("system_stats.jsonl"), Ok(File::SystemStats));
        for wrong in ["nodes", "run_meta.json", "x"] {
            assert!(parse_file(wrong).unwrap_err().contains("host_metrics"), "{wrong}");
        }
    }
}
