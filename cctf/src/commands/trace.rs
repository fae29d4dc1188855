//! `cctf trace`: prints one trace of a run as a tree, with its times and the critical path.

pub mod json;
pub mod text;

use std::env;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use analyze::trace::{Span, Trace};
use cctf_proto::log_line;
use clap::Args;
use console::Term;
use rundir::trace_lines::{FindError, IdPrefix, find, size};

use super::display::BytesBar;
use super::{DONE, FAILED, Format, UsageError, print, print_json, run_target};
use text::Style;

const AFTER_HELP: &str = "\
Examples:
  cctf trace latest 5b8efff79803
  cctf trace logs/gzip-60 5b8efff7980381030000000000000001 --format json | jq '.rows[] | select(.critical_ms > 1)'
  The slowest invocation of the newest run:
    cctf trace latest $(jq -r '[.rt_ms, .trace_id] | @tsv' logs/latest/cctf/invocations.jsonl | sort -n | tail -n 1 | cut -f 2)

Rows:
  MODULE@NODE METHOD PATH   an invocation: a request that an instance processed. Its calls are on lines below this line
  -> METHOD PATH            a call: a request that was sent. The invocation that the call caused is below this line. Without such an
                            invocation, the line shows the name of the receiver
Rows of the same level are in the order of time. The first row of a tree is its root. A row whose caller is missing (an orphan)
starts another tree.

Columns (times in ms, '-' if unknown):
  *        the row is on the critical path. This path goes from the end of the root back to its start: at each point, it
           enters the child that ended last before that point. To make the root shorter, save time on this path
  start    time since the start of the root. '~' marks an estimate
  took     time from arrival to end
  queue, service, cpu, network
           recorded values of an invocation
  own      of an invocation: service time during which none of its calls was in progress. Of a call: time outside of the
           invocation that the call caused, such as time for the network and for connection set-up. Without such an
           invocation: all of the call's time
  status   HTTP or gRPC status
  notes    class of the error, flags of the row (orphan, late and others), number of repeated sends

Clocks of different nodes are never compared. If a call and its invocation are on different nodes, the invocation is assumed
to be in the middle of the call. If a message from another node caused an invocation, the invocation is assumed to start at the
end of sending. Such an invocation is not on the critical path, because the sender does not wait for it.

The command reads each file of all parts once. While the run is running, rows may still be missing. With --format json, the
rows are a list in the order of the tree, and 'parent' is the index of the parent row.

Exit codes:
  0  the trace was shown
  1  the trace was shown, but some of its rows are invalid; or a file cannot be read, or the trace cannot be printed
  2  the run or the trace does not exist, several trace ids start with these digits, or a flag is invalid";

#[derive(Debug, Clone, Args)]
#[command(after_long_help = AFTER_HELP, after_help = "Examples, columns and exit codes: cctf trace --help")]
pub struct TraceArgs {
    /// Run id, path to a run's folder, or latest for the newest run.
    #[arg(value_name = "DIR|RUN_ID")]
    run: String,
    /// Trace id, or its beginning: at least 4 digits with which no other trace of the run starts.
    #[arg(value_parser = IdPrefix::parse, value_name = "ID")]
    id: IdPrefix,
    /// Path to the folder that contains all runs.
    #[arg(long, env = "CCTF_LOGS_DIR", default_value = "logs", value_name = "DIR")]
    logs_dir: PathBuf,
    /// Output format: text for a tree, json for one object.
    #[arg(long, env = "CCTF_FORMAT", value_enum, default_value = "text")]
    format: Format,
}

pub fn run(args: &TraceArgs) -> anyhow::Result<ExitCode> {
    let (run, _) = run_target::find(Some(&args.run), &args.logs_dir)?;
    let mut spans = Vec::new();
    let mut invalid = 0_u64;
    let mut on_line = |file, line: &[u8]| match Span::read(file, line) {
        Ok((_, span)) => spans.push(span),
        Err(_) => invalid += 1,
    };
    let bar = BytesBar::new();
    let mut on_bytes = bar.counter("reading", size(&run)?);
    let found = find(&run, &args.id, &mut on_line, &mut on_bytes);
    bar.clear();
    let found = found.map_err(|error| match error {
        FindError::Read(error) => anyhow::Error::from(error),
        other => UsageError(other.to_string()).into(),
    })?;
    let trace = Trace::new(found.trace_id, spans);
    match args.format {
        Format::Json => print_json(&json::view(&trace, run.id(), invalid, found.unreadable))?,
        Format::Text => print(&text::text(&trace, run.id(), style()))?,
    }
    if invalid > 0 {
        log_line!(
            "cctf: left out {invalid} invalid rows of the trace; cctf validate shows what is wrong with them"
        );
    }
    if found.unreadable > 0 {
        log_line!(
            "cctf: left out {} lines of unknown traces that are not JSON objects; cctf validate shows them",
            found.unreadable
        );
    }
    Ok(ExitCode::from(if invalid == 0 { DONE } else { FAILED }))
}

/// Colour and a limited width are used only on a terminal. Any non-empty value of NO_COLOR disables colour
/// (<https://no-color.org>).
pub fn style() -> Style {
    if !io::stdout().is_terminal() {
        return Style::default();
    }
    let is_set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    let size = Term::stdout().size_checked();
    Style {
        has_colour: !is_set("NO_COLOR") && !is_dumb,
        width: size.map(|(_, columns)| usize::from(columns)),
    }
}
