//! [`Scan`]: reads invocations and calls in chunks on all cores, and adds up the results in order.

use std::path::{Path, PathBuf};

use rundir::chunks::{ChunkLines, ChunkedFile};
use rundir::{Ending, ReadError};

use super::arrivals::Arrivals;
use super::cells::{Cells, ChunkCells, NODE};
use super::links::{ChunkCalls, Crossing, LinkJoin, call_key};
use super::ordered::in_order;
use super::row::{CallRow, InvocationRow, RowError};
use super::series::{Series, TimesNs, UNKNOWN};
use super::window::Bounds;

/// Maximum number of damaged lines that are listed. All are counted.
const DAMAGES_SHOWN_MAX: usize = 20;

/// A damaged line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    pub path: PathBuf,
    /// Line number, from 1.
    pub line: u64,
    pub error: RowError,
}

/// Damaged lines of a run.
#[derive(Debug, Default)]
pub struct Damages {
    pub count: u64,
    pub shown: Vec<Damage>,
}

impl Damages {
    /// Adds a line that is not a valid row of its file.
    pub fn add_row(&mut self, path: &Path, line: u64) {
        self.add(Damage {
            path: path.to_owned(),
            line,
            error: RowError::InvalidRow,
        });
    }

    pub fn add(&mut self, damage: Damage) {
        self.count += 1;
        if self.shown.len() < DAMAGES_SHOWN_MAX {
            self.shown.push(damage);
        }
    }
}

/// A file to read.
pub struct Input {
    pub file: ChunkedFile,
    pub kind: Kind,
    /// Whether the part is still being written, so that the last line may be incomplete.
    pub is_open: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Invocations,
    Calls,
}

/// The periods that decide how a row counts.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows that start outside of this period are ignored.
    pub window: Bounds,
    /// Rows outside of this period have a wrong clock.
    pub clocks: Bounds,
}

impl Limits {
    /// The origin of time intervals: a fixed time before the recorded start of the run, or else the Unix epoch.
    fn origin(&self) -> i64 {
        origin_of(self.clocks)
    }
}

/// The origin of time intervals.
pub fn origin_of(clocks: Bounds) -> i64 {
    match clocks == Bounds::EVERYTHING {
        true => 0,
        false => clocks.begin,
    }
}

/// The sums over all rows.
#[derive(Default)]
pub struct Scan {
    pub cells: Cells,
    pub arrivals: Option<Arrivals>,
    pub series: Series,
    /// `None` if links were not requested.
    pub links: Option<LinkJoin>,
    /// Number of invocations that are not damaged.
    pub rows: u64,
    /// Number of invocations whose clock is wrong.
    pub outside: u64,
    /// First `ts_start` and last `ts_end` of all invocations.
    pub first_start: Option<i64>,
    pub last_end: Option<i64>,
    pub damages: Damages,
    /// For each file: number of lines before the current chunk.
    lines: Vec<u64>,
}

/// The sums over one chunk.
struct Chunk {
    input: usize,
    lines: u64,
    damaged: u64,
    /// The damaged lines to list: number of the line within the chunk, and its error.
    shown: Vec<(u64, RowError)>,
    rows: Rows,
}

enum Rows {
    Invocations(Box<Invocations>),
    Calls(ChunkCalls),
}

/// An arrival, with its times and the number of its cell in the chunk.
struct Arrival {
    ts_enqueue: i64,
    cell: u32,
    times: TimesNs,
}

#[derive(Default)]
struct Invocations {
    cells: ChunkCells,
    arrivals: Vec<Arrival>,
    crossings: Vec<Crossing>,
    rows: u64,
    outside: u64,
    first_start: Option<i64>,
    last_end: Option<i64>,
}

impl Scan {
    /// `groupings` are the groupings whose groups get confidence intervals.
    pub fn new(groupings: Vec<usize>, with_links: bool) -> Self {
        Self {
            arrivals: Some(Arrivals::new(3)),
            series: Series::new(groupings),
            links: with_links.then(LinkJoin::default),
            ..Self::default()
        }
    }

    /// Reads all files. `on_bytes` receives the bytes of each chunk.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn run(
        &mut self,
        inputs: &[Input],
        limits: Limits,
        threads: usize,
        mut on_bytes: impl FnMut(u64) + Send,
    ) -> Result<(), ReadError> {
        self.lines = vec![0; inputs.len()];
        let with_links = self.links.is_some();
        let pieces = side_by_side(inputs);
        let work = |piece: usize, buffer: &mut Vec<u8>| {
            let (input, chunk) = pieces[piece];
            let lines = inputs[input].file.read(chunk, buffer)?;
            let is_open = inputs[input].is_open;
            let mut content = Chunk::new(input, inputs[input].kind);
            content.read(lines, is_open, limits, with_links);
            Ok::<_, ReadError>((content, inputs[input].file.bytes_of(chunk)))
        };
        in_order(pieces.len(), threads, work, |(content, bytes)| {
            let path = inputs[content.input].file.path();
            self.absorb(content, path);
            on_bytes(bytes);
        })
    }

    fn absorb(&mut self, chunk: Chunk, path: &Path) {
        let before = self.lines[chunk.input];
        self.lines[chunk.input] += chunk.lines;
        self.damages.count += chunk.damaged;
        let room = DAMAGES_SHOWN_MAX - self.damages.shown.len();
        let shown = chunk.shown.into_iter().take(room);
        self.damages.shown.extend(shown.map(|(line, error)| Damage {
            path: path.to_owned(),
            line: before + line,
            error,
        }));
        match chunk.rows {
            Rows::Calls(calls) => {
                if let Some(links) = &mut self.links {
                    links.add_calls(&calls);
                }
            }
            Rows::Invocations(rows) => self.absorb_invocations(&rows),
        }
    }

    fn absorb_invocations(&mut self, chunk: &Invocations) {
        self.rows += chunk.rows;
        self.outside += chunk.outside;
        self.first_start = [self.first_start, chunk.first_start].into_iter().flatten().min();
        self.last_end = self.last_end.max(chunk.last_end);
        let numbers = self.cells.absorb(&chunk.cells);
        let cells = &self.cells;
        let groups = numbers.iter().map(|&cell| cells.groups_of(cell));
        self.series.admit(groups.clone().zip(chunk.cells.calls()));
        if let Some(arrivals) = &mut self.arrivals {
            let of_run = |arrival: &Arrival| (arrival.ts_enqueue, numbers[arrival.cell as usize]);
            let has_intervals = |grouping: usize, group: usize| self.series.has(grouping, group);
            let arrived = chunk.arrivals.iter().map(of_run);
            arrivals.extend(arrived, |cell| cells.groups_of(cell), has_intervals);
        }
        for (groups, load) in groups.zip(chunk.cells.loads()) {
            self.series.add_load(groups, load);
        }
        for arrival in &chunk.arrivals {
            let groups = cells.groups_of(numbers[arrival.cell as usize]);
            self.series.push(groups, &arrival.times);
        }
        if let Some(links) = &mut self.links {
            let node_of = |cell: u32| cells.groups_of(numbers[cell as usize])[NODE];
            links.add_invocations(&chunk.crossings, node_of);
        }
    }
}

impl Chunk {
    fn new(input: usize, kind: Kind) -> Self {
        Self {
            input,
            lines: 0,
            damaged: 0,
            shown: Vec::new(),
            rows: match kind {
                Kind::Invocations => Rows::Invocations(Box::default()),
                Kind::Calls => Rows::Calls(ChunkCalls::default()),
            },
        }
    }

    fn read(&mut self, lines: ChunkLines<'_>, is_open: bool, limits: Limits, with_links: bool) {
        for (line, ending) in lines {
            self.lines += 1;
            let read = match ending {
                Ending::EndOfFile if is_open => continue,
                Ending::EndOfFile => Err(RowError::Incomplete),
                Ending::TooLong => Err(RowError::TooLong),
                Ending::Newline => match &mut self.rows {
                    Rows::Invocations(rows) => rows.add(line, limits, with_links),
                    Rows::Calls(calls) => CallRow::read(line).map(|row| {
                        calls.add(&row);
                    }),
                },
            };
            if let Err(error) = read {
                self.damaged += 1;
                if self.shown.len() < DAMAGES_SHOWN_MAX {
                    self.shown.push((self.lines, error));
                }
            }
        }
        if let Rows::Invocations(rows) = &mut self.rows {
            rows.arrivals.sort_by_key(|arrival| arrival.ts_enqueue);
        }
    }
}

impl Invocations {
    #[inline]
    fn add(&mut self, line: &[u8], limits: Limits, with_links: bool) -> Result<(), RowError> {
        let row = InvocationRow::read(line)?;
        self.rows += 1;
        let is_outside = row.ts_start < limits.clocks.begin || row.ts_end > limits.clocks.end;
        self.outside += u64::from(is_outside);
        self.first_start = Some(
            self.first_start
                .map_or(row.ts_start, |first| first.min(row.ts_start)),
        );
        self.last_end = self.last_end.max(Some(row.ts_end));
        if !limits.window.has(row.ts_start) {
            return Ok(());
        }
        let cell = self.cells.add(&row, limits.origin());
        self.arrivals.push(Arrival {
            ts_enqueue: row.ts_enqueue,
            cell,
            times: row.times.map(|ns| ns.unwrap_or(UNKNOWN)),
        });
        if with_links && !row.caller_span_id.is_empty() {
            self.crossings.push(Crossing {
                call: call_key(row.trace_id, row.caller_span_id),
                cell,
                ts_enqueue: row.ts_enqueue,
                ts_end: row.ts_end,
                origin: limits.origin(),
                network_ns: row.times[super::figures::Time::Network as usize],
                bytes_in: row.bytes_in,
                bytes_out: row.bytes_out,
                is_error: row.is_error,
            });
        }
        Ok(())
    }
}

/// All chunks of all files. The files of a kind are read in parallel: the next chunk is from the file of which the smallest
/// share has been read.
fn side_by_side(inputs: &[Input]) -> Vec<(usize, u64)> {
    let total = |kind: Kind| {
        let of_kind = inputs.iter().filter(|input| input.kind == kind);
        of_kind.map(|input| input.file.size()).sum::<u64>().max(1)
    };
    let totals = [total(Kind::Invocations), total(Kind::Calls)];
    let mut before = [0_u64; 2];
    let mut pieces = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        let kind = input.kind as usize;
        for chunk in 0..input.file.chunks() {
            let position = u128::from(before[kind]) * u128::from(u64::MAX) / u128::from(totals[kind]);
            pieces.push((position, number, chunk));
            before[kind] += input.file.bytes_of(chunk);
        }
    }
    pieces.sort_unstable();
    pieces
        .into_iter()
        .map(|(_, number, chunk)| (number, chunk))
        .collect()
}
