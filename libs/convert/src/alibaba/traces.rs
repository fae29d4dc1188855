//! [`Traces`]: rebuilds one trace after the other, and passes their rows to the merge.

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
use crate::data_sets::place_of;
use crate::tally::Tally;

/// Maximum number of rows of a trace, as in a merge. Further ones are left out.
const TRACE_ROWS_MAX: usize = 60_000;

/// The traces of all call graphs.
pub struct Traces {
    /// The sorted rows. `None` when all traces are rebuilt, because the memory is needed then.
    sorter: Option<Sorter>,
    rebuilding: Rebuilding,
    /// Buffer for the name of a span.
    name: String,
}

/// The trace that is read from the sorted rows, and what is known of all so far.
struct Rebuilding {
    names: Names,
    /// Node of each instance.
    nodes: Map<NameId, NameId>,
    senders: Senders,
    notes: Notes,
    /// Names of the files, by their numbers.
    files: Vec<String>,
    tally: Tally,
    group: Group,
    made: MadeTrace,
    record: Vec<u8>,
}

impl Traces {
    pub(super) fn new(call_graph: CallGraph, notes: Notes, files: Vec<String>) -> Self {
        let CallGraph {
            names, sorter, nodes, ..
        } = call_graph;
        Self {
            sorter: Some(sorter),
            rebuilding: Rebuilding {
                names,
                nodes,
                senders: Senders::default(),
                notes,
                files,
                tally: Tally::default(),
                group: Group::default(),
                made: MadeTrace::default(),
                record: Vec::new(),
            },
            name: String::new(),
        }
    }

    /// Adds the number of spans, the assumptions, and what was left out.
    pub fn add_to(self, tally: &mut Tally) {
        let Rebuilding {
            notes,
            files,
            tally: own,
            ..
        } = self.rebuilding;
        tally.spans += own.spans;
        tally.damages.unite(own.damages);
        for (name, meaning, count, first) in notes.counts() {
            tally.assume(name, meaning, count, || place_of(&files, first));
        }
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
        let rebuilding = &mut self.rebuilding;
        let mut current = None;
        sorter.drain(|record| {
            let (row, rpc_id) = CallRow::decode(record.line).context(DAMAGED)?;
            let trace_id = record.identity.first_chunk().context(DAMAGED)?;
            let trace_id = u128::from_be_bytes(*trace_id);
            if current != Some(trace_id) {
                rebuilding.finish_trace(take)?;
                rebuilding.group.trace_id = trace_id;
                current = Some(trace_id);
            }
            rebuilding.push(row, rpc_id);
            Ok(())
        })?;
        rebuilding.finish_trace(take)
    }

    fn write(
        &mut self,
        file: SpanFile,
        record: &[u8],
        derived: &DerivedFields<'_>,
        out: &mut Vec<u8>,
    ) -> anyhow::Result<()> {
        let record = LineRecord::decode(record).context(DAMAGED)?;
        let sender = self.rebuilding.senders.get(record.sender).context(DAMAGED)?;
        record.write(
            file,
            (&self.rebuilding.names, sender),
            derived,
            &mut self.name,
            out,
        );
        Ok(())
    }
}

impl Rebuilding {
    fn push(&mut self, row: CallRow, rpc_id: &[u8]) {
        if self.group.rows.len() < TRACE_ROWS_MAX {
            return self.group.push(row, rpc_id);
        }
        let place = place_of(&self.files, row.at);
        let reason = "the trace has more than 60,000 rows".to_owned();
        self.tally.damages.add(place, reason);
    }

    fn finish_trace(
        &mut self,
        take: &mut dyn FnMut(&mut MadeTrace, u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(first) = self.group.rows.first().copied() else {
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
        self.tally.spans += self.made.len() as u64;
        drop((ids, rows));
        self.group.clear();
        take(&mut self.made, records)
    }
}
