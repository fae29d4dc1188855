//! [`Traces`]: rebuilds one trace after the other from the rows of call graphs, and passes the traces to the merge.

use std::time::Duration;

use aggregate::maps::Map;
use anyhow::Context as _;
use cctf_merge::made::{DerivedFields, MadeTrace, SpanFile, TraceSource};
use cctf_sort::scratch::DAMAGED;
use cctf_sort::sorter::Sorter;

use super::CallGraph;
use super::callers::tree_of;
use super::ids::Group;
use super::lines::LineRecord;
use super::names::{NameId, Names};
use super::notes::{Note, Notes};
use super::rows::{CallRow, origin_ns};
use super::senders::Senders;
use super::spans::Writer;
use crate::NEVER;
use crate::place::Damages;
use crate::tally::Tally;

/// Maximum number of rows of a trace, as in a merge. Further rows are left out.
const TRACE_ROWS_MAX: usize = 60_000;

/// The traces of all call graphs.
pub struct Traces {
    /// The sorted rows. `None` when all traces are rebuilt, because the memory is needed then.
    sorter: Option<Sorter>,
    names: Names,
    /// Node of each instance.
    nodes: Map<NameId, NameId>,
    senders: Senders,
    notes: Notes,
    /// Names of the files, by their numbers.
    files: Vec<String>,
    /// Number of spans so far.
    spans: u64,
    damages: Damages,
    /// The sorted rows of the current trace.
    group: Group,
    /// The rows of CCTF that the current trace becomes.
    made: MadeTrace,
    /// Buffers for the record of a row, and for the name of a span.
    record: Vec<u8>,
    name: String,
}

impl Traces {
    /// Call this after the last row. `notes` has the assumptions so far, and `files` the names of the files by their numbers.
    pub fn new(call_graph: CallGraph, notes: Notes, files: Vec<String>) -> Self {
        let CallGraph {
            names, sorter, nodes, ..
        } = call_graph;
        Self {
            sorter: Some(sorter),
            names,
            nodes,
            senders: Senders::default(),
            notes,
            files,
            spans: 0,
            damages: Damages::default(),
            group: Group::default(),
            made: MadeTrace::default(),
            record: Vec::new(),
            name: String::new(),
        }
    }

    /// Adds the number of spans, the assumptions, and what was left out to the tally.
    pub fn add_to(self, tally: &mut Tally) {
        tally.spans += self.spans;
        tally.damages.unite(self.damages);
        self.notes.add_to(tally, &self.files);
    }

    fn push(&mut self, row: CallRow, rpc_id: &[u8]) {
        if self.group.rows.len() < TRACE_ROWS_MAX {
            return self.group.push(row, rpc_id);
        }
        let reason = "the trace has more than 60,000 rows".to_owned();
        self.damages.add(row.at.place(&self.files), reason);
    }

    fn finish_trace(
        &mut self,
        take: &mut dyn FnMut(&mut MadeTrace, u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(first) = self.group.rows.iter().min_by_key(|row| row.at).copied() else {
            return Ok(());
        };
        let records = self.group.rows.len() as u64;
        let (ids, rows, repeated) = self.group.ordered(&self.names);
        for row in repeated {
            self.notes.add(Note::RowRepeated, 1, row.at);
        }
        let tree = tree_of(&ids, &rows);
        let mut writer = Writer {
            names: &self.names,
            nodes: &self.nodes,
            senders: &mut self.senders,
            made: &mut self.made,
            notes: &mut self.notes,
            record: &mut self.record,
        };
        writer.write(self.group.trace_id, origin_ns(first.year), first.at, &ids, &tree);
        self.spans += self.made.len() as u64;
        drop((ids, rows));
        self.group.clear();
        take(&mut self.made, records)
    }
}

impl TraceSource for Traces {
    fn records(&self) -> u64 {
        self.sorter.as_ref().map_or(0, Sorter::len)
    }

    fn stale_after(&self) -> Duration {
        NEVER
    }

    fn each_trace(
        &mut self,
        take: &mut dyn FnMut(&mut MadeTrace, u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(mut sorter) = self.sorter.take() else {
            return Ok(());
        };
        sorter.drain(|record| {
            let (row, rpc_id) = CallRow::decode(record.line).context(DAMAGED)?;
            let trace_id = record.identity.first_chunk().context(DAMAGED)?;
            let trace_id = u128::from_be_bytes(*trace_id);
            if trace_id != self.group.trace_id {
                self.finish_trace(take)?;
                self.group.trace_id = trace_id;
            }
            self.push(row, rpc_id);
            Ok(())
        })?;
        self.finish_trace(take)
    }

    fn write(
        &mut self,
        file: SpanFile,
        record: &[u8],
        derived: &DerivedFields<'_>,
        out: &mut Vec<u8>,
    ) -> anyhow::Result<()> {
        let record = LineRecord::decode(record).context(DAMAGED)?;
        let sender = self.senders.get(record.sender).context(DAMAGED)?;
        record.write(file, (&self.names, sender), derived, &mut self.name, out);
        Ok(())
    }
}
