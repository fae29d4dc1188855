//! Invocations and calls: read and spread by trace, freed of copies, resolved trace by trace, and handed on to be sorted by time.

use std::cmp::Ordering;
use std::path::Path;

use anyhow::{Context, bail};
use cctf_proto::cctf::{File, Flag, Flags, SpanKind};

use super::directory::Directory;
use super::gaps::fields_of;
use super::learned::Learned;
use super::records::{Settled, push_row, row_at, trace_of};
use super::rows::{Origin, RowError, SpanRow, read};
use super::sorter::{Record, Sorter, key_of};
use super::spool::{PLACE_BITS, Spool, place_of, records};
use super::trace::{Resolved, Resolver};
use super::{Limits, Tally};
use rundir::fields::put_in_order;

/// Bytes of a single trace's records, which can be spread no further: its rows are all held at once.
const TRACE_BYTES_MAX: u64 = 8 << 20;
/// How much of a line a message shows.
const SHOWN_BYTES: usize = 200;

/// The first pass: lines to records, each where its trace's are gathered.
pub struct Spread<'s> {
    spool: &'s mut Spool,
    record: Vec<u8>,
}

impl<'s> Spread<'s> {
    /// Into a spool.
    pub fn new(spool: &'s mut Spool) -> Self {
        Self {
            spool,
            record: Vec::new(),
        }
    }

    /// Takes a line.
    pub fn add(
        &mut self,
        line: &[u8],
        origin: Origin,
        is_call: bool,
        directory: &mut Directory,
    ) -> anyhow::Result<()> {
        self.record.clear();
        match read(line, origin, is_call, directory) {
            Ok(row) => {
                push_row(&row, line, &mut self.record);
                self.spool.push(place_of(&row.trace_id), &self.record)
            }
            Err(RowError::Disordered) => self.add_disordered(line, origin, is_call, directory),
            Err(error) => Err(unusable(error, line, is_call)),
        }
    }

    /// Its fields are in the contract's order from here on.
    #[cold]
    fn add_disordered(
        &mut self,
        line: &[u8],
        origin: Origin,
        is_call: bool,
        directory: &mut Directory,
    ) -> anyhow::Result<()> {
        let ordered = put_in_order(line, fields_of(is_call))?;
        let line = ordered.as_deref().unwrap_or(line);
        let mut row =
            read(line, origin, is_call, directory).map_err(|error| unusable(error, line, is_call))?;
        // Those of the line as it lies in its file are others.
        row.gaps = None;
        push_row(&row, line, &mut self.record);
        self.spool.push(place_of(&row.trace_id), &self.record)
    }
}

#[cold]
fn unusable(error: RowError, line: &[u8], is_call: bool) -> anyhow::Error {
    let (file, shown) = (file_of(is_call).name(), &line[..line.len().min(SHOWN_BYTES)]);
    anyhow::Error::from(error).context(format!(
        "a row of {file} cannot be used (`cctf validate` says more): {}",
        String::from_utf8_lossy(shown)
    ))
}

/// The rows on their way from their traces.
pub struct Spans<'m> {
    /// The names that rows have.
    pub directory: &'m mut Directory,
    /// What they tell.
    pub learned: &'m mut Learned,
    /// Sorted by time, then written: invocations, then calls.
    pub sorted: [&'m mut Sorter; 2],
    /// What is counted.
    pub tally: &'m mut Tally,
    resolver: Resolver,
    rows: Vec<SpanRow>,
    settled: Vec<u8>,
}

impl<'m> Spans<'m> {
    /// Nothing resolved yet.
    pub fn new(
        directory: &'m mut Directory,
        learned: &'m mut Learned,
        sorted: [&'m mut Sorter; 2],
        tally: &'m mut Tally,
    ) -> Self {
        Self {
            directory,
            learned,
            sorted,
            tally,
            resolver: Resolver::default(),
            rows: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// Resolves all partitions, in the order of places. `progress` gets the bytes done.
    pub fn resolve(
        &mut self,
        spool: &mut Spool,
        folder: &Path,
        limits: &Limits,
        progress: &mut dyn FnMut(u64),
    ) -> anyhow::Result<()> {
        let mut partition = Vec::new();
        for (number, bytes) in spool.sizes().into_iter().enumerate() {
            if bytes <= 2 * limits.partition_bytes
                || (spool.bits_known() >= PLACE_BITS && bytes <= TRACE_BYTES_MAX)
            {
                spool.read(number, &mut partition)?;
                self.resolve_partition(&partition)?;
                progress(bytes);
            } else if spool.bits_known() >= PLACE_BITS {
                bail!(
                    "one trace's rows take {bytes} bytes to be looked at together, which is more than {TRACE_BYTES_MAX}, the most that is held"
                );
            } else {
                partition = Vec::new();
                // Into as many as there can be: what is this large may be a single trace, which none of them takes apart.
                let mut finer = Spool::new(folder, u64::MAX, limits.partition_bytes, spool.bits_known())?;
                spool.each(number, |record| {
                    let trace = trace_of(record).context(DAMAGED)?;
                    finer.push(place_of(&trace), record)
                })?;
                self.resolve(&mut finer, folder, limits, progress)?;
            }
        }
        Ok(())
    }

    fn resolve_partition(&mut self, partition: &[u8]) -> anyhow::Result<()> {
        let mut index = Vec::new();
        for (begin, end) in records(partition) {
            let trace = trace_of(&partition[begin..]).context(DAMAGED)?;
            index.push((place_of(&trace), begin as u32, end as u32));
        }
        index.sort_unstable();
        for of_place in index.chunk_by(|left, right| left.0 == right.0) {
            let mut rows = std::mem::take(&mut self.rows);
            rows.clear();
            for &(_, begin, end) in of_place {
                rows.push(row_at(partition, (begin as usize, end as usize)).context(DAMAGED)?);
            }
            rows.sort_unstable_by(|left, right| {
                order(left, right).then(left.base_hash.cmp(&right.base_hash))
            });
            rows.dedup_by(|copy, first| {
                let is_copy = order(copy, first) == Ordering::Equal;
                if is_copy {
                    self.tally.duplicates += 1;
                    take_from_copy(first, copy, partition);
                }
                is_copy
            });
            // Two traces at one place are possible.
            for of_trace in rows.chunk_by(|left, right| left.trace_id == right.trace_id) {
                self.resolve_trace(of_trace, partition)?;
            }
            self.rows = rows;
        }
        Ok(())
    }

    fn resolve_trace(&mut self, rows: &[SpanRow], partition: &[u8]) -> anyhow::Result<()> {
        self.resolver.resolve(rows);
        for (at, row) in rows.iter().enumerate() {
            let found = self.resolver.resolved[at];
            self.tally.orphans += u64::from(found.is_orphan);
            self.tally.late += u64::from(found.flags.has(Flag::Late));
            self.tally.resolved += u64::from(row.flags.has(Flag::Orphan) && !found.is_orphan);
            let mut peer_module = None;
            if row.is_call {
                peer_module = self.answering_module(row, &found, rows, partition)?;
                self.learned.add_call(row, peer_module, partition, self.directory);
            } else {
                self.learned
                    .add_invocation(row, &found, partition, self.directory);
                if let (Some(caller), Some((_, Some(net_ns)))) = (found.caller, found.told_caller) {
                    self.learned
                        .add_pair(&rows[caller], row, net_ns, self.directory)?;
                }
            }
            let told = found.told_caller.filter(|_| !row.is_call);
            let settled = Settled {
                origin: row.origin,
                gaps: row.gaps,
                above: found.above,
                caller: told.map(|(caller, _)| caller),
                net_ns: told.and_then(|(_, net)| net),
                peer_module,
                flags: found.flags,
            };
            self.settled.clear();
            settled.push(&mut self.settled);
            self.sorted[usize::from(row.is_call)].push(&Record {
                key: key_of(row.start),
                identity: &[],
                line: &self.settled,
            })?;
        }
        Ok(())
    }

    /// The module that answered a call, else what was told, by number.
    fn answering_module(
        &mut self,
        row: &SpanRow,
        found: &Resolved,
        rows: &[SpanRow],
        partition: &[u8],
    ) -> anyhow::Result<Option<u32>> {
        if let Some(callee) = found.callee {
            return Ok(Some(self.directory.module_of(rows[callee].instance)));
        }
        let told = row.text(partition, row.peer_module);
        let told = told.map(|told| self.directory.module_named(&told));
        Ok(told.transpose()?)
    }
}

/// Nobody else can write to a file without a name.
const DAMAGED: &str = "a temporary file has not kept what was written";

/// The file of a row.
pub fn file_of(is_call: bool) -> File {
    if is_call { File::Calls } else { File::Invocations }
}

/// By trace, then by what tells rows of one trace apart: the same whatever folder they came from.
fn order(left: &SpanRow, right: &SpanRow) -> Ordering {
    let of = |row: &SpanRow| (row.trace_id, row.span_id, row.is_call, row.kind);
    of(left).cmp(&of(right))
}

/// One span that two folders have: the row whose own fields have the lesser hash is kept, and what either has found out is.
fn take_from_copy(row: &mut SpanRow, copy: &SpanRow, partition: &[u8]) {
    let found = |row: &SpanRow| (!row.flags.has(Flag::Orphan)).then_some(row.above);
    row.above = match (found(row), found(copy)) {
        (Some(Some(one)), Some(Some(other))) => Some(one.min(other)),
        (one, other) => one.flatten().or(other.flatten()),
    };
    let is_orphan = found(row).is_none() && found(copy).is_none();
    let told = |row: &SpanRow| row.caller_span_id.map(|caller| (caller, row.net_ns));
    let caller = match (told(row), told(copy)) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    row.caller_span_id = caller.map(|(caller, _)| caller);
    row.net_ns = caller.and_then(|(_, net)| net);
    let peer_module = |row: &SpanRow| row.text(partition, row.peer_module);
    let theirs_goes_before = match (peer_module(row), peer_module(copy)) {
        (Some(ours), Some(theirs)) => theirs < ours,
        (None, _) => true,
        (Some(_), None) => false,
    };
    if theirs_goes_before {
        row.peer_module = copy.peer_module;
    }
    let either = |flag| row.flags.has(flag) || copy.flags.has(flag);
    let mut flags = Flags::NONE;
    for flag in [Flag::Negative, Flag::ChildOutlivesCaller, Flag::Truncated] {
        if either(flag) {
            flags = flags.with(flag);
        }
    }
    // One copy in time is in time.
    if row.flags.has(Flag::Late) && copy.flags.has(Flag::Late) {
        flags = flags.with(Flag::Late);
    }
    if is_orphan {
        flags = flags.with(Flag::Orphan);
    }
    row.flags = flags;
}

const _: () = assert!(
    SpanKind::ALL.len() == 5,
    "an identity's kind tells calls from invocations"
);
