//! [`read`]: the rows of all parts of a run, sorted by trace, in bounded memory.

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use cctf_proto::cctf::{File, Part, Shape, TraceId};
use cctf_sort::record::Record;
use cctf_sort::sorter::Sorter;
use plan::plan::Window;
use rundir::parts::Run;
use rundir::{ReadError, RunFolder};

use super::losses::Losses;
use super::rows::Row;
use super::senders::Senders;

/// Maximum size of the rows in memory while they are sorted, bytes. All other rows are in a temporary file.
const SORT_BYTES: usize = 64 << 20;
/// Maximum size of the rows of one trace, bytes. All of them are in memory at once.
const TRACE_ROWS_BYTES_MAX: usize = 256 << 20;
/// Bytes of a trace id.
const TRACE_BYTES: usize = 16;
/// Bytes of the identity by which rows are sorted: trace id, a byte for the file, span id.
const IDENTITY_BYTES: usize = TRACE_BYTES + 1 + 8;

/// The two files whose rows become spans, and whether the rows are calls.
const FILES: [(File, bool); 2] = [(File::Invocations, false), (File::Calls, true)];

/// The rows of a run.
pub struct Rows {
    pub sorter: Sorter,
    /// The earliest start of a row.
    pub first_ns: Option<i64>,
}

/// Total size of the files that [`read`] reads, bytes.
///
/// # Errors
/// If a folder cannot be read.
pub fn bytes(run: &Run, parts: &[Part]) -> Result<u64, ReadError> {
    let mut bytes = 0;
    for part in parts {
        let folder = RunFolder::open(&run.folder(part))?;
        bytes += FILES.iter().map(|(file, _)| folder.size(*file)).sum::<u64>();
    }
    Ok(bytes)
}

/// Reads all rows, and passes each to `senders`, which remembers facts about instances. `advance` receives the number of bytes
/// of each line, and returns an error if the user stops the export.
///
/// # Errors
/// If a file cannot be read, a temporary file cannot be written, or an error of `advance`.
pub fn read(
    (run, parts): (&Run, &[Part]),
    scratch: &Path,
    senders: &mut Senders,
    losses: &mut Losses,
    advance: &mut dyn FnMut(u64) -> anyhow::Result<()>,
) -> anyhow::Result<Rows> {
    let mut rows = Rows {
        sorter: Sorter::new(scratch, SORT_BYTES),
        first_ns: None,
    };
    for part in parts {
        let folder = RunFolder::open(&run.folder(part))?;
        for (file, is_call) in FILES {
            let Some(lines) = folder.lines(file)? else {
                continue;
            };
            let on_line = |line: &[u8]| -> anyhow::Result<bool> {
                advance(line.len() as u64 + 1)?;
                rows.add(line, is_call, senders)
            };
            lines.try_each_row(on_line, |_| losses.damaged_lines += 1)?;
        }
        losses.samples += samples(&folder)?;
    }
    Ok(rows)
}

impl Rows {
    /// Adds a line. Returns false if the line is not a valid row.
    fn add(&mut self, line: &[u8], is_call: bool, senders: &mut Senders) -> anyhow::Result<bool> {
        let Some(row) = Row::read(is_call, line) else {
            return Ok(false);
        };
        senders.learn(&row);
        let start = row.start().as_ns();
        self.first_ns = Some(self.first_ns.map_or(start, |first| first.min(start)));
        let mut identity = [0; IDENTITY_BYTES];
        identity[..TRACE_BYTES].copy_from_slice(&row.trace_id().0);
        identity[TRACE_BYTES] = u8::from(is_call);
        identity[TRACE_BYTES + 1..].copy_from_slice(&row.span_id().0);
        let [a, b, c, d, e, f, g, h, ..] = row.trace_id().0;
        self.sorter.push(&Record {
            key: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            identity: &identity,
            line,
        })?;
        Ok(true)
    }
}

/// The lines of the trace that is being collected.
#[derive(Default)]
struct Held {
    trace: [u8; TRACE_BYTES],
    text: Vec<u8>,
    /// For each line, whether it is a call, and its byte range in `text`.
    lines: Vec<(bool, Range<usize>)>,
}

impl Held {
    fn add(&mut self, is_call: bool, line: &[u8]) -> anyhow::Result<()> {
        let begin = self.text.len();
        if begin + line.len() > TRACE_ROWS_BYTES_MAX {
            bail!(
                "cannot export trace {}: its rows have more than {} MiB",
                TraceId(self.trace),
                TRACE_ROWS_BYTES_MAX >> 20
            );
        }
        self.text.extend_from_slice(line);
        self.lines.push((is_call, begin..self.text.len()));
        Ok(())
    }

    fn pass(
        &mut self,
        on_trace: &mut impl FnMut(Vec<Row<'_>>, u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let lines = self.lines.drain(..);
        let rows: Vec<Row<'_>> = lines
            .filter_map(|(is_call, place)| Row::read(is_call, &self.text[place]))
            .collect();
        if !rows.is_empty() {
            on_trace(rows, self.text.len() as u64)?;
        }
        self.text.clear();
        Ok(())
    }
}

/// Passes the rows of each trace to `on_trace`, with the total size of their lines in bytes. The traces come in the order of
/// their ids.
///
/// # Errors
/// If a temporary file cannot be read, a trace is too large, or an error of `on_trace`.
pub fn each_trace(
    mut rows: Rows,
    mut on_trace: impl FnMut(Vec<Row<'_>>, u64) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut held = Held::default();
    rows.sorter.drain(|record| {
        // Never happens: every identity has `IDENTITY_BYTES` bytes.
        let Some((trace, [is_call, ..])) = record.identity.split_first_chunk() else {
            return Ok(());
        };
        if *trace != held.trace {
            held.pass(&mut on_trace)?;
            held.trace = *trace;
        }
        held.add(*is_call != 0, record.line)
    })?;
    held.pass(&mut on_trace)
}

/// Whether the first row of a trace starts in the window, which begins with the first row of the run.
pub fn is_within(rows: &[Row<'_>], first_ns: i64, window: Window) -> bool {
    let starts = rows.iter().map(|row| row.start().as_ns());
    let since = starts.min().unwrap_or(first_ns).saturating_sub(first_ns);
    let since = Duration::from_nanos(u64::try_from(since).unwrap_or_default());
    since >= window.from && window.to.is_none_or(|to| since < to)
}

/// The number of lines in the `.jsonl` files that are not exported.
fn samples(folder: &RunFolder) -> Result<u64, ReadError> {
    let mut count = 0;
    let is_sampled = |file: &File| {
        let is_exported = matches!(file, File::Invocations | File::Calls | File::PlacementEvents);
        file.shape() == Shape::Lines && !is_exported
    };
    for &file in File::ALL.iter().filter(|file| is_sampled(file)) {
        let Some(lines) = folder.lines(file)? else {
            continue;
        };
        let mut count_line = |_: &[u8]| {
            count += 1;
            true
        };
        lines.each_row(&mut count_line, |_| {})?;
    }
    Ok(count)
}
