//! `cctf tail --traces`: prints each finished trace of a run as a tree, like `cctf trace`.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use analyze::trace::{Span, Trace};
use cctf_proto::cctf::{File, TraceId};
use cctf_proto::log_line;
use rundir::parts::State;
use serde::{Deserialize, Serialize};

use super::gather::{Gather, Gathered, LIMITS};
use crate::commands::Format;
use crate::commands::cells::counted;
use crate::commands::follow_rows::{Follow, Follower, Notice, READ_INTERVAL, Sink, Step, TailError};
use crate::commands::trace::json::{TraceView, view};
use crate::commands::trace::style;
use crate::commands::trace::text::text;

const FILES: [File; 2] = [File::Invocations, File::Calls];

/// Printed after a tree that may not have all rows.
const INCOMPLETE: &str = "incomplete: printed before more rows could come\n";

/// Prints the traces of the run that `follow` names, until the run ends. Returns the number of lines that are missing in the
/// output.
///
/// # Errors
/// If the run does not exist or cannot be read, or if the traces cannot be printed.
pub fn run(
    follow: &Follow,
    idle: Duration,
    format: Format,
    notice: &mut dyn FnMut(&Notice),
    stop: &AtomicBool,
) -> Result<u64, TailError> {
    let Some((run, named)) = follow.wait_for_run(notice, stop)? else {
        return Ok(0);
    };
    let mut printer = Printer::new(run.id(), idle, format);
    let mut reading = Vec::new();
    for file in FILES {
        let follow = Follow {
            file,
            ..follow.clone()
        };
        reading.push(Reading {
            file,
            follower: follow.follower(&run, &named)?,
            latest: i64::MIN,
            ended: None,
        });
    }
    let outcome = printer.follow(&mut reading, notice, stop);
    // If reading failed, the rows read so far are the last ones.
    let is_run_ended = reading
        .iter()
        .all(|file| matches!(file.ended, Some(State::Ended)));
    if !stop.load(Ordering::Relaxed) && !matches!(outcome, Err(TailError::Write(_))) {
        printer.finish(!is_run_ended).map_err(TailError::Write)?;
    }
    printer.report();
    let skipped: u64 = reading.iter().map(|file| file.follower.left_out()).sum();
    outcome.map(|()| skipped + printer.invalid + printer.unreadable)
}

/// One of the two files.
struct Reading {
    file: File,
    follower: Follower,
    /// End of the last row, ns.
    latest: i64,
    ended: Option<State>,
}

impl Reading {
    fn step(
        &mut self,
        printer: &mut Printer<'_>,
        notice: &mut dyn FnMut(&Notice),
    ) -> Result<Step, TailError> {
        let mut rows = RowSink {
            file: self.file,
            latest: &mut self.latest,
            printer,
        };
        // Both files give the same messages about the run, so only those of the first file are printed.
        let is_first = self.file == FILES[0];
        let mut once = |message: &Notice| {
            if is_first || matches!(message, Notice::Skipped { .. }) {
                notice(message);
            }
        };
        let step = self.follower.step(&mut rows, &mut once)?;
        if let Step::Ended(state) = step {
            self.ended = Some(state);
        }
        Ok(step)
    }
}

/// Passes the rows of a file to the printer.
struct RowSink<'a, 'r> {
    file: File,
    latest: &'a mut i64,
    printer: &'a mut Printer<'r>,
}

impl Sink for RowSink<'_, '_> {
    fn lines(&mut self, lines: &[u8]) -> io::Result<()> {
        let now = Instant::now();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            self.printer
                .add(self.file, line.trim_ascii_end(), self.latest, now)?;
        }
        Ok(())
    }
}

/// Only the trace id of an invalid row.
#[derive(Deserialize)]
struct Id {
    trace_id: TraceId,
}

/// A trace in the form of `cctf trace`, and whether more rows may follow.
#[derive(Serialize)]
struct TailedTrace<'a> {
    #[serde(flatten)]
    trace: TraceView<'a>,
    incomplete: bool,
}

struct Printer<'r> {
    run: &'r str,
    format: Format,
    gather: Gather,
    has_printed: bool,
    /// Number of traces that were removed because of a limit.
    early: u64,
    invalid: u64,
    unreadable: u64,
    /// Number of traces in progress when the command was interrupted.
    unprinted: usize,
}

impl<'r> Printer<'r> {
    fn new(run: &'r str, idle: Duration, format: Format) -> Self {
        Self {
            run,
            format,
            gather: Gather::new(LIMITS, idle),
            has_printed: false,
            early: 0,
            invalid: 0,
            unreadable: 0,
            unprinted: 0,
        }
    }

    /// Reads both files in parallel, so that the rows of a trace arrive at about the same time.
    fn follow(
        &mut self,
        reading: &mut [Reading],
        notice: &mut dyn FnMut(&Notice),
        stop: &AtomicBool,
    ) -> Result<(), TailError> {
        while !stop.load(Ordering::Relaxed) {
            // The next rows are read from the file that is behind.
            reading.sort_by_key(|file| file.latest);
            let mut has_lines = false;
            for file in reading.iter_mut().filter(|file| file.ended.is_none()) {
                has_lines = file.step(self, notice)? == Step::Lines;
                if has_lines {
                    break;
                }
            }
            let now = Instant::now();
            while let Some(trace) = self.gather.finished(now) {
                self.print(trace).map_err(TailError::Write)?;
            }
            if reading.iter().all(|file| file.ended.is_some()) {
                return Ok(());
            }
            if !has_lines {
                thread::sleep(READ_INTERVAL);
            }
        }
        self.unprinted = self.gather.len();
        Ok(())
    }

    fn add(&mut self, file: File, line: &[u8], latest: &mut i64, now: Instant) -> io::Result<()> {
        let (trace_id, span) = match Span::read(file, line) {
            Ok((trace_id, span)) => {
                *latest = span.end;
                (trace_id, Some(span))
            }
            Err(_) => match serde_json::from_slice::<Id>(line) {
                Ok(id) => (id.trace_id, None),
                Err(_) => {
                    self.unreadable += 1;
                    return Ok(());
                }
            },
        };
        if span.is_none() {
            self.invalid += 1;
        }
        if let Some(trace) = self.gather.add(trace_id, span, now) {
            if self.early == 0 {
                log_line!(
                    "cctf: traces are printed early, because more than {} rows of one trace, {} rows of all traces or {} traces are \
                     in progress",
                    LIMITS.rows_per_trace,
                    LIMITS.rows,
                    LIMITS.traces
                );
            }
            self.early += 1;
            self.print(trace)?;
        }
        Ok(())
    }

    fn print(&mut self, gathered: Gathered) -> io::Result<()> {
        if gathered.spans.is_empty() {
            return Ok(());
        }
        let trace = Trace::new(gathered.trace_id, gathered.spans);
        let shown = match self.format {
            Format::Json => {
                let trace = view(&trace, self.run, gathered.invalid, self.unreadable);
                let incomplete = gathered.is_incomplete;
                serde_json::to_string(&TailedTrace { trace, incomplete })? + "\n"
            }
            Format::Text => {
                let gap = if self.has_printed { "\n" } else { "" };
                let mark = if gathered.is_incomplete { INCOMPLETE } else { "" };
                format!("{gap}{}{mark}", text(&trace, self.run, style()))
            }
        };
        self.has_printed = true;
        let mut stdout = io::stdout().lock();
        stdout.write_all(shown.as_bytes())?;
        stdout.flush()
    }

    /// Prints the traces in progress.
    fn finish(&mut self, is_incomplete: bool) -> io::Result<()> {
        while let Some(trace) = self.gather.pop(is_incomplete) {
            self.print(trace)?;
        }
        Ok(())
    }

    fn report(&self) {
        let reports = [
            (self.early, "trace", "printed early"),
            (
                self.invalid,
                "invalid row",
                "left out; cctf validate shows what is wrong",
            ),
            (
                self.unreadable,
                "line",
                "left out: not a JSON object with a trace id; cctf validate shows more",
            ),
            (
                self.unprinted as u64,
                "trace",
                "in progress and not printed, because of the interrupt",
            ),
        ];
        for (count, what, why) in reports.into_iter().filter(|(count, ..)| *count > 0) {
            log_line!("cctf: {}: {why}", counted(count, what));
        }
    }
}
