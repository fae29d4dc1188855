//! Invocations and calls: spread by trace, freed of copies, resolved trace by trace, and handed on to be sorted by time.

use std::cmp::Ordering;
use std::path::Path;

use anyhow::{Context, bail};
use cctf_proto::cctf::{File, Flag, Flags, SpanKind};

use super::directory::Directory;
use super::learned::Learned;
use super::rows::{Derived, RowError, SpanRow, fields_of, read};
use super::scan::put_in_order;
use super::sorter::{Record, Sorter, key_of};
use super::spool::{PLACE_BITS, Spool, lines, place_of};
use super::trace::{Resolved, resolve};
use super::values::trace_of;
use super::{Limits, Tally};

/// Bytes of a single trace, which can be spread no further: its rows are all held at once.
const TRACE_BYTES_MAX: u64 = 32 << 20;
/// How much of a line a message shows.
const SHOWN_BYTES: usize = 200;

/// The rows on their way.
pub struct Spans<'m> {
    /// The names that rows have.
    pub directory: &'m mut Directory,
    /// What they tell.
    pub learned: &'m mut Learned,
    /// Sorted by time, then written: invocations, then calls.
    pub sorted: [&'m mut Sorter; 2],
    /// What is counted.
    pub tally: &'m mut Tally,
    resolved: Vec<Resolved>,
    line: Vec<u8>,
}

/// Puts a line where its trace's rows are gathered. Its fields are in the contract's order then.
pub fn spread(spool: &mut Spool, is_call: bool, line: &[u8]) -> anyhow::Result<()> {
    let Some(trace) = trace_of(line) else {
        bail!("not a row with a trace_id: {}", shown(line));
    };
    spool.push(place_of(&trace), is_call, line)
}

fn shown(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(SHOWN_BYTES)]).into_owned()
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
            resolved: Vec::new(),
            line: Vec::new(),
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
            // Some more than is aimed at, since traces differ.
            if bytes <= 2 * limits.partition_bytes
                || (spool.bits_known() >= PLACE_BITS && bytes <= TRACE_BYTES_MAX)
            {
                spool.read(number, &mut partition)?;
                self.resolve_partition(&mut partition)?;
                progress(bytes);
            } else if spool.bits_known() >= PLACE_BITS {
                bail!(
                    "one trace has {bytes} bytes of rows, which is more than {TRACE_BYTES_MAX}, the most that is held"
                );
            } else {
                partition = Vec::new();
                // Into as many as there can be: what is this large may be a single trace, which none of them takes apart.
                let mut finer = Spool::new(folder, u64::MAX, limits.partition_bytes, spool.bits_known())?;
                spool.each(number, |is_call, line| spread(&mut finer, is_call, line))?;
                self.resolve(&mut finer, folder, limits, progress)?;
            }
        }
        Ok(())
    }

    fn resolve_partition(&mut self, partition: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut rows = Vec::new();
        let places: Vec<(bool, usize, usize)> = lines(partition).collect();
        for (is_call, begin, end) in places {
            rows.push(self.read_row(partition, is_call, (begin, end))?);
        }
        let partition = &partition[..];
        rows.sort_unstable_by(|left, right| {
            order(left, right).then_with(|| left.base(partition).cmp(&right.base(partition)))
        });
        rows.dedup_by(|copy, first| {
            let is_copy = order(copy, first) == Ordering::Equal;
            if is_copy {
                self.tally.duplicates += 1;
                take_from_copy(first, copy, partition);
            }
            is_copy
        });
        let mut rest = &rows[..];
        while let Some(first) = rest.first() {
            let trace = (first.place, first.trace_id);
            let count = rest
                .iter()
                .take_while(|row| (row.place, row.trace_id) == trace)
                .count();
            let (of_trace, further) = rest.split_at(count);
            self.resolve_trace(of_trace, partition)?;
            rest = further;
        }
        Ok(())
    }

    fn read_row(
        &mut self,
        partition: &mut Vec<u8>,
        is_call: bool,
        at: (usize, usize),
    ) -> anyhow::Result<SpanRow> {
        let mut found = read(partition, at, is_call, place_of, self.directory);
        if matches!(found, Err(RowError::Disordered)) {
            let line = partition[at.0..at.1].to_vec();
            if let Some(ordered) = put_in_order(&line, fields_of(is_call))? {
                let begin = partition.len();
                partition.extend_from_slice(&ordered);
                found = read(
                    partition,
                    (begin, partition.len()),
                    is_call,
                    place_of,
                    self.directory,
                );
            }
        }
        found.with_context(|| {
            let file = file_of(is_call).name();
            format!(
                "a row of {file} cannot be used (`cctf validate` says more): {}",
                shown(&partition[at.0..at.1])
            )
        })
    }

    fn resolve_trace(&mut self, rows: &[SpanRow], partition: &[u8]) -> anyhow::Result<()> {
        let mut resolved = std::mem::take(&mut self.resolved);
        resolve(rows, &mut resolved);
        for (row, found) in rows.iter().zip(&resolved) {
            self.tally.orphans += u64::from(found.is_orphan);
            self.tally.late += u64::from(found.flags.has(Flag::Late));
            self.tally.resolved += u64::from(row.flags.has(Flag::Orphan) && !found.is_orphan);
            if row.is_call {
                self.write_call(row, found, rows, partition)?;
                continue;
            }
            self.learned.add_invocation(row, found, partition, self.directory);
            if let (Some(caller), Some((_, Some(net_nanos)))) = (found.caller, found.told_caller) {
                self.learned
                    .add_pair(&rows[caller], row, net_nanos, self.directory)?;
            }
            let derived = Derived {
                above: found.above,
                caller: found.told_caller.map(|(caller, _)| caller),
                net_nanos: found.told_caller.and_then(|(_, net)| net),
                peer_module: None,
                flags: found.flags,
            };
            self.push(row, &derived, partition)?;
        }
        self.resolved = resolved;
        Ok(())
    }

    fn write_call(
        &mut self,
        row: &SpanRow,
        found: &Resolved,
        rows: &[SpanRow],
        partition: &[u8],
    ) -> anyhow::Result<()> {
        let told = row.told_peer_module(partition);
        let callee = found
            .callee
            .map(|callee| self.directory.module_of(rows[callee].instance));
        let to = match (callee, &told) {
            (Some(module), _) => Some(module),
            (None, Some(told)) => Some(self.directory.module_named(told)?),
            (None, None) => None,
        };
        self.learned.add_call(row, to, partition, self.directory);
        let name = to.map(|module| self.directory.module_name(module).to_owned());
        let derived = Derived {
            above: found.above,
            peer_module: name.as_deref(),
            flags: found.flags,
            ..Derived::default()
        };
        self.push(row, &derived, partition)
    }

    fn push(&mut self, row: &SpanRow, derived: &Derived<'_>, partition: &[u8]) -> anyhow::Result<()> {
        self.line.clear();
        row.write(partition, derived, &mut self.line);
        self.sorted[usize::from(row.is_call)].push(&Record {
            key: key_of(row.start),
            identity: &[],
            line: &self.line,
        })
    }
}

/// The file of a row.
pub fn file_of(is_call: bool) -> File {
    if is_call { File::Calls } else { File::Invocations }
}

/// By trace, then by what tells rows of one trace apart: the same whatever folder they came from.
fn order(left: &SpanRow, right: &SpanRow) -> Ordering {
    let of = |row: &SpanRow| (row.place, row.trace_id, row.span_id, row.is_call, row.kind);
    of(left).cmp(&of(right))
}

/// One span that two folders have: the row whose own fields are the lesser bytes is kept, and what either has found out is.
fn take_from_copy(row: &mut SpanRow, copy: &SpanRow, partition: &[u8]) {
    let found = |row: &SpanRow| (!row.flags.has(Flag::Orphan)).then_some(row.above);
    row.above = match (found(row), found(copy)) {
        (Some(Some(one)), Some(Some(other))) => Some(one.min(other)),
        (one, other) => one.flatten().or(other.flatten()),
    };
    let is_orphan = found(row).is_none() && found(copy).is_none();
    let told = |row: &SpanRow| row.caller_span_id.map(|caller| (caller, row.net_nanos));
    let caller = match (told(row), told(copy)) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    row.caller_span_id = caller.map(|(caller, _)| caller);
    row.net_nanos = caller.and_then(|(_, net)| net);
    let theirs_goes_before = match (row.told_peer_module(partition), copy.told_peer_module(partition)) {
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
