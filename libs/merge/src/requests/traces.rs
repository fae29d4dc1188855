//! [`Traces`]: removes duplicates from each trace, resolves it, and sorts its rows by time.

use std::cmp::Ordering;
use std::path::Path;

use anyhow::{Context, ensure};
use cctf_proto::cctf::{Flag, Flags, SpanId, SpanKind};

use crate::made::MadeTrace;
use crate::model::{Counts, Limits};
use crate::registry::EntityRegistry;
use crate::requests::graph_stats::{Callee, GraphStats};
use crate::requests::made_rows::MadeRows;
use crate::requests::partitions::{HASH_BITS, Partitions, records, trace_hash};
use crate::requests::resolve::{Resolution, Resolver};
use crate::requests::unlisted::UnlistedOut;
use crate::rows::records::{ResolvedRow, row_at, trace_of};
use crate::rows::row::{SpanRow, Texts};
use crate::rows::span_file::SpanFile;
use cctf_sort::record::{Record, key_of};
use cctf_sort::scratch::DAMAGED;
use cctf_sort::sorter::Sorter;

/// Maximum size of the records of a single trace, bytes. They cannot be divided further, so they must fit into memory.
const TRACE_BYTES_MAX: u64 = 8 << 20;

pub struct Traces<'m> {
    registry: &'m mut EntityRegistry,
    graph: &'m mut GraphStats,
    counts: &'m mut Counts,
    /// Resolved rows: invocations, then calls.
    pub sorted: [Sorter; 2],
    /// Invocations of endpoints that are not listed; `None` if they are counted as one.
    unlisted: Option<&'m mut UnlistedOut>,
    resolver: Resolver,
    rows: Vec<SpanRow>,
    /// What decides the order of the rows of a trace, and their indices.
    keys: Vec<((SpanId, SpanFile, SpanKind), usize)>,
    record: Vec<u8>,
}

impl<'m> Traces<'m> {
    pub fn new(
        registry: &'m mut EntityRegistry,
        graph: &'m mut GraphStats,
        sorted: [Sorter; 2],
        counts: &'m mut Counts,
        unlisted: Option<&'m mut UnlistedOut>,
    ) -> Self {
        Self {
            registry,
            graph,
            counts,
            sorted,
            unlisted,
            resolver: Resolver::default(),
            rows: Vec::new(),
            keys: Vec::new(),
            record: Vec::new(),
        }
    }

    /// Resolves all partitions, in the order of trace hashes. `on_progress` gets the number of bytes that are done. A partition
    /// that is too large is divided into partitions again, in `scratch`.
    pub fn resolve(
        &mut self,
        partitions: &mut Partitions,
        scratch: &Path,
        limits: &Limits,
        on_progress: &mut dyn FnMut(u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let is_one_trace = partitions.bits_known() >= HASH_BITS;
        let mut content = Vec::new();
        for (index, bytes) in partitions.sizes().into_iter().enumerate() {
            if bytes <= 2 * limits.partition_bytes || is_one_trace {
                ensure!(
                    bytes <= TRACE_BYTES_MAX.max(2 * limits.partition_bytes),
                    "cannot resolve a trace: its records have {bytes} bytes, and the maximum is {TRACE_BYTES_MAX}"
                );
                partitions.read(index, &mut content)?;
                self.resolve_partition(&content)?;
                on_progress(bytes)?;
            } else {
                content = Vec::new();
                // The new partitions are as many as possible, because a partition that is so large may contain a single trace,
                // which even many divisions do not split.
                let known = partitions.bits_known();
                let mut finer = Partitions::new(scratch, u64::MAX, limits.partition_bytes, known)?;
                partitions.drain(index, |record| {
                    let trace = trace_of(record).context(DAMAGED)?;
                    finer.push(trace_hash(&trace), record)
                })?;
                self.resolve(&mut finer, scratch, limits, on_progress)?;
            }
        }
        Ok(())
    }

    fn resolve_partition(&mut self, partition: &[u8]) -> anyhow::Result<()> {
        let mut index = Vec::new();
        for (begin, end) in records(partition) {
            let trace = trace_of(&partition[begin..]).context(DAMAGED)?;
            index.push((trace_hash(&trace), begin as u32, end as u32));
        }
        index.sort_unstable();
        for of_hash in index.chunk_by(|left, right| left.0 == right.0) {
            let mut rows = std::mem::take(&mut self.rows);
            rows.clear();
            for &(_, begin, end) in of_hash {
                rows.push(row_at(partition, begin as usize, end as usize).context(DAMAGED)?);
            }
            rows.sort_unstable_by(|left, right| order(left, right).then(left.own_hash.cmp(&right.own_hash)));
            rows.dedup_by(|duplicate, kept| {
                let is_duplicate = order(duplicate, kept) == Ordering::Equal;
                if is_duplicate {
                    self.counts.duplicates += 1;
                    unite(kept, duplicate, partition);
                }
                is_duplicate
            });
            // Two traces may have the same hash.
            for of_trace in rows.chunk_by(|left, right| left.trace_id == right.trace_id) {
                self.resolve_trace(of_trace, Texts::Json(partition), &[])?;
            }
            self.rows = rows;
        }
        Ok(())
    }

    /// Resolves a trace that is in no folder.
    pub fn resolve_made(&mut self, trace: &mut MadeTrace, made: &mut MadeRows) -> anyhow::Result<()> {
        made.register(trace, self.registry)?;
        for row in &trace.rows {
            self.counts.read[row.file.file() as usize] += 1;
        }
        // Sorted as by [`order`]. Rows are far longer than their keys, so each of them moves only once.
        self.keys.clear();
        let keys = trace.rows.iter().zip(0..);
        self.keys
            .extend(keys.map(|(row, index)| ((row.span_id, row.file, row.kind), index)));
        self.keys.sort_unstable();
        self.keys.dedup_by_key(|(key, _)| *key);
        self.counts.duplicates += (trace.rows.len() - self.keys.len()) as u64;
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        rows.extend(self.keys.iter().map(|&(_, index)| trace.rows[index].clone()));
        self.resolve_trace(&rows, Texts::Plain(&trace.texts), &trace.records)?;
        self.rows = rows;
        Ok(())
    }

    /// `records` are those of rows that are in no folder.
    fn resolve_trace(&mut self, rows: &[SpanRow], texts: Texts<'_>, records: &[u8]) -> anyhow::Result<()> {
        self.resolver.resolve(rows);
        for (index, row) in rows.iter().enumerate() {
            let found = self.resolver.resolved[index];
            self.counts.orphans += u64::from(found.is_orphan);
            self.counts.late += u64::from(found.flags.has(Flag::Late));
            let was_orphan = row.flags.has(Flag::Orphan) && row.location.is_in_folder();
            self.counts.resolved += u64::from(was_orphan && !found.is_orphan);
            let mut callee = None;
            if row.is_call() {
                callee = self.callee_of(row, &found, rows, texts)?;
                self.graph.record_call(row, callee, texts, self.registry);
            } else {
                let unlisted = self.unlisted.as_deref_mut();
                self.graph
                    .record_invocation((row, index), &found, texts, self.registry, unlisted)?;
                if let (Some(caller), Some((_, Some(net_ns)))) = (found.caller, found.caller_fields) {
                    self.graph
                        .record_answer(&rows[caller], row, net_ns, self.registry)?;
                }
            }
            let caller_fields = found.caller_fields.filter(|_| !row.is_call());
            let resolved = ResolvedRow {
                location: row.location,
                derived_fields: row.derived_fields,
                ancestor: found.ancestor,
                caller: caller_fields.map(|(caller, _)| caller),
                net_ns: caller_fields.and_then(|(_, net)| net),
                peer_module: callee.map(|callee| callee.module),
                flags: found.flags,
            };
            self.record.clear();
            resolved.push(&mut self.record);
            if !row.location.is_in_folder() {
                let begin = row.location.offset as usize;
                let record = records.get(begin..begin + row.location.length as usize);
                self.record.extend_from_slice(record.context(DAMAGED)?);
            }
            self.sorted[row.file as usize].push(&Record {
                key: key_of(row.start),
                identity: &[],
                line: &self.record,
            })?;
        }
        Ok(())
    }

    /// The module that answered a call, or else the recorded one.
    fn callee_of(
        &mut self,
        row: &SpanRow,
        found: &Resolution,
        rows: &[SpanRow],
        texts: Texts<'_>,
    ) -> anyhow::Result<Option<Callee>> {
        if let Some(callee) = found.callee {
            return Ok(Some(Callee {
                module: self.registry.module_of(rows[callee].instance),
                is_answered: true,
            }));
        }
        let Some(name) = row.text(texts, row.peer_module) else {
            return Ok(None);
        };
        Ok(Some(Callee {
            module: self.registry.module_by_name(&name)?,
            is_answered: false,
        }))
    }
}

/// Sorts rows by trace, then by identity. The order does not depend on the folders from which the rows came.
fn order(left: &SpanRow, right: &SpanRow) -> Ordering {
    let key = |row: &SpanRow| (row.trace_id, row.span_id, row.file, row.kind);
    key(left).cmp(&key(right))
}

/// Unites two rows of the same span. The row whose own fields have the lower hash is kept, with the findings of both rows.
fn unite(row: &mut SpanRow, duplicate: &SpanRow, partition: &[u8]) {
    let ancestor = |row: &SpanRow| (!row.flags.has(Flag::Orphan)).then_some(row.ancestor);
    let (ours, theirs) = (ancestor(row), ancestor(duplicate));
    let is_orphan = ours.is_none() && theirs.is_none();
    row.ancestor = match (ours, theirs) {
        (Some(Some(one)), Some(Some(other))) => Some(one.min(other)),
        (one, other) => one.flatten().or(other.flatten()),
    };
    let caller_fields = |row: &SpanRow| row.caller_span_id.map(|caller| (caller, row.net_ns));
    let caller = match (caller_fields(row), caller_fields(duplicate)) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    row.caller_span_id = caller.map(|(caller, _)| caller);
    row.net_ns = caller.and_then(|(_, net)| net);
    let peer_module = |row: &SpanRow| row.text(Texts::Json(partition), row.peer_module);
    let is_theirs = match (peer_module(row), peer_module(duplicate)) {
        (Some(ours), Some(theirs)) => theirs < ours,
        (None, _) => true,
        (Some(_), None) => false,
    };
    if is_theirs {
        row.peer_module = duplicate.peer_module;
    }
    row.flags = united_flags(row.flags, duplicate.flags, is_orphan);
}

fn united_flags(ours: Flags, theirs: Flags, is_orphan: bool) -> Flags {
    let mut flags = Flags::NONE;
    for flag in [Flag::Negative, Flag::ChildOutlivesCaller, Flag::Truncated] {
        if ours.has(flag) || theirs.has(flag) {
            flags = flags.with(flag);
        }
    }
    if ours.has(Flag::Late) && theirs.has(Flag::Late) {
        flags = flags.with(Flag::Late);
    }
    if is_orphan {
        flags = flags.with(Flag::Orphan);
    }
    flags
}
