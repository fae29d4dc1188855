//! Alibaba's microservice data sets of 2021 and 2022: call graph, nodes, instances and rates.
//!
//! ```text
//! call graph ─▶ rows ─▶ sort by trace ─▶ ids ─▶ calls ─▶ callers ─▶ spans
//! nodes, instances, rates ─▶ samples
//! ```
//!
//! The rows of a trace are anywhere in the files, so they are sorted on disk by trace. Then one trace at a time is rebuilt: `calls`
//! finds the calls behind its rows, and `callers` finds the caller of each call.
//! Sources: the descriptions of both data sets in the repository alibaba/clusterdata; Huye, Liu and Sambasivan, "Systemizing and
//! Mitigating Topological Inconsistencies in Alibaba's Microservice Call-graph Datasets" (ICPE 2024), for their faults.

mod callers;
mod calls;
mod ids;
mod names;
mod notes;
pub mod rows;
mod samples;
mod spans;
mod tree;

use std::path::Path;

use aggregate::maps::Map;
use anyhow::{Context as _, bail};
use bytes::Bytes;
use cctf_sort::record::Record;
use cctf_sort::sorter::Sorter;

use self::callers::tree_of;
use self::ids::Group;
use self::names::{NONE, NameId, Names};
use self::rows::{At, CallRow, Kind, Labels, MS, origin_ns};
use self::spans::{Source, Writer};
use crate::decimal::nanoseconds;
use crate::fields::Fields;
use crate::hash;
use crate::tables::{Table, Year, call, is_rpc_id};
use crate::wire::Batch;

#[cfg(test)]
pub use notes::NOTES;
pub use notes::{Note, Notes};
pub use samples::{Samples, metrics};

/// Maximum size of the rows that are sorted in memory, bytes. The rest is on disk, in sorted chunks.
const SORT_BYTES: usize = 192 << 20;
/// Maximum number of rows of a trace, as in a merge. Further ones are left out.
const TRACE_ROWS_MAX: usize = 60_000;
/// Maximum time since the start of the recording, and maximum duration of a call: ten years.
const TIME_NS_MAX: i64 = 10 * 366 * 24 * 3600 * 1000 * MS;

/// The reason why a row cannot be used.
pub type Unusable = &'static str;

/// Number of rows of call graphs that are rebuilt, and of all.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    pub rows: u64,
    pub total: u64,
}

/// Receiver of the rebuilt traces.
pub trait Sink {
    /// Takes a request of spans. `at` is the place of its first row.
    ///
    /// # Errors
    /// If it cannot be written.
    fn take(&mut self, request: Bytes, at: At, done: Done) -> anyhow::Result<()>;
    /// Counts a row that is left out.
    fn leave_out(&mut self, at: At, reason: Unusable);
}

/// The rows of all call graphs until they are sorted, and the names in all tables.
pub struct CallGraph {
    names: Names,
    sorter: Sorter,
    /// Node of each instance.
    nodes: Map<NameId, NameId>,
    encoded: Vec<u8>,
}

impl CallGraph {
    /// Temporary files are in `scratch`.
    pub fn new(scratch: &Path) -> Self {
        Self {
            names: Names::new(),
            sorter: Sorter::new(scratch, SORT_BYTES),
            nodes: Map::default(),
            encoded: Vec::new(),
        }
    }

    /// Takes a row. The inner error is the reason why it cannot be used.
    ///
    /// # Errors
    /// If a temporary file cannot be written, or if there are too many names.
    pub fn take(
        &mut self,
        year: Year,
        table: &Table,
        fields: &Fields,
        at: At,
    ) -> anyhow::Result<Result<(), Unusable>> {
        let get = |column| table.get(fields, column);
        let (begin_ns, rt_ns) = match times(get(call::TIMESTAMP), get(call::RT)) {
            Ok(times) => times,
            Err(reason) => return Ok(Err(reason)),
        };
        let (trace, rpc_id) = (get(call::TRACE), get(call::RPC_ID));
        if trace.is_empty() {
            return Ok(Err("the row has no trace id"));
        }
        if !is_rpc_id(rpc_id) {
            return Ok(Err("invalid rpc id: it must be numbers separated by dots"));
        }
        let row = CallRow {
            year,
            kind: Kind::of_text(get(call::RPC_TYPE)),
            begin_ns,
            rt_ns,
            labels: Labels {
                um: self.number(known(get(call::UM)))?,
                dm: self.number(known(get(call::DM)))?,
                um_instance: self.number(known(get(call::UM_INSTANCE)))?,
                dm_instance: self.number(known(get(call::DM_INSTANCE)))?,
                interface: self.number(known(get(call::INTERFACE)))?,
                rpc_type: self.number(known(get(call::RPC_TYPE)))?,
                service: self.number(known(get(call::SERVICE)))?,
            },
            at,
        };
        row.encode(rpc_id, &mut self.encoded);
        let trace_id = hash::trace_id(trace);
        self.sorter.push(&Record {
            // The last digits differ most.
            key: trace_id as u64,
            identity: &((trace_id >> 64) as u64).to_be_bytes(),
            line: &self.encoded,
        })?;
        Ok(Ok(()))
    }

    fn number(&mut self, name: &[u8]) -> anyhow::Result<NameId> {
        let number = self.names.number(name);
        number.context("the files have too many different names; convert fewer files at once")
    }

    /// Notes the node of an instance. A later table overrides an earlier one.
    ///
    /// # Errors
    /// If there are too many names.
    pub fn place(&mut self, instance: &[u8], node: &[u8]) -> anyhow::Result<()> {
        let (instance, node) = (self.number(known(instance))?, self.number(known(node))?);
        if instance != NONE && node != NONE {
            self.nodes.insert(instance, node);
        }
        Ok(())
    }

    /// Rebuilds all traces, and passes their spans to `sink`. Returns the assumptions.
    ///
    /// # Errors
    /// If the sink fails, or the temporary file cannot be read.
    pub fn finish(mut self, sink: &mut dyn Sink) -> anyhow::Result<Notes> {
        let mut rebuilding = Rebuilding {
            names: &self.names,
            nodes: &self.nodes,
            batch: Batch::default(),
            batch_of: None,
            done: Done {
                rows: 0,
                total: self.sorter.len(),
            },
            notes: Notes::default(),
            name: Vec::new(),
            group: Group::default(),
        };
        let mut current = None;
        self.sorter.drain(|record| {
            let Some((row, rpc_id)) = CallRow::decode(record.line) else {
                bail!(cctf_sort::scratch::DAMAGED);
            };
            let mut high = [0; 8];
            high.copy_from_slice(record.identity);
            let trace_id = u128::from(u64::from_be_bytes(high)) << 64 | u128::from(record.key);
            if current != Some(trace_id) {
                rebuilding.finish_trace(sink)?;
                rebuilding.group.trace_id = trace_id;
                current = Some(trace_id);
            }
            match rebuilding.group.rows.len() < TRACE_ROWS_MAX {
                true => rebuilding.group.push(row, rpc_id),
                false => sink.leave_out(row.at, "the trace has more than 60,000 rows"),
            }
            Ok(())
        })?;
        rebuilding.finish_trace(sink)?;
        rebuilding.send(sink)?;
        Ok(rebuilding.notes)
    }
}

/// The trace that is read from the sorted rows, and the request that is being filled.
struct Rebuilding<'r> {
    names: &'r Names,
    nodes: &'r Map<NameId, NameId>,
    batch: Batch<Source>,
    /// First row of the request.
    batch_of: Option<At>,
    done: Done,
    notes: Notes,
    name: Vec<u8>,
    group: Group,
}

impl Rebuilding<'_> {
    fn finish_trace(&mut self, sink: &mut dyn Sink) -> anyhow::Result<()> {
        let Some(first) = self.group.rows.first().copied() else {
            return Ok(());
        };
        self.batch_of.get_or_insert(first.at);
        self.done.rows += self.group.rows.len() as u64;
        let (ids, rows, repeated) = self.group.ordered(self.names);
        for row in repeated {
            self.notes.add(Note::RowRepeated, 1, row.at);
        }
        let tree = tree_of(&ids, &rows);
        let mut writer = Writer {
            names: self.names,
            nodes: self.nodes,
            batch: &mut self.batch,
            notes: &mut self.notes,
            name: &mut self.name,
        };
        writer.write(self.group.trace_id, origin_ns(first.year), first.at, &ids, &tree);
        drop((ids, rows));
        self.group.clear();
        match self.batch.is_full() {
            true => self.send(sink),
            false => Ok(()),
        }
    }

    fn send(&mut self, sink: &mut dyn Sink) -> anyhow::Result<()> {
        match self.batch_of.take() {
            Some(at) if !self.batch.is_empty() => sink.take(self.batch.take(), at, self.done),
            _ => Ok(()),
        }
    }
}

/// Time and response time of a row.
fn times(timestamp: &[u8], rt: &[u8]) -> Result<(i64, i64), Unusable> {
    let begin_ns = nanoseconds(timestamp, MS).ok_or("the timestamp is not a number")?;
    let rt_ns = nanoseconds(rt, MS).ok_or("the response time is not a number")?;
    if !(0..=TIME_NS_MAX).contains(&begin_ns) {
        return Err("the timestamp is negative or exceeds ten years");
    }
    if rt_ns.abs() > TIME_NS_MAX {
        return Err("the response time exceeds ten years");
    }
    Ok((begin_ns, rt_ns))
}

/// The name; empty if the text stands for a missing name.
fn known(name: &[u8]) -> &[u8] {
    const MISSING: [&[u8]; 7] = [b"(?)", b"?", b"NAN", b"NaN", b"nan", b"UNKNOWN", b"None"];
    match MISSING.contains(&name) {
        true => b"",
        false => name,
    }
}
