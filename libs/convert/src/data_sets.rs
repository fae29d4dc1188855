//! [`DataSets`]: takes the rows of public data sets. Rows of call graphs become traces later; all other rows become requests of
//! OTLP.

use std::path::Path;

use bytes::Bytes;
use cctf_normalizer::journal::Signal;

use crate::alibaba::rows::At;
use crate::alibaba::{CallGraph, Note, Notes, Samples, Traces};
use crate::azure::Invocations;
use crate::fields::Fields;
use crate::place::Position;
use crate::tables::{Kind, Table, Year};
use crate::tally::{Format, Tally};

/// Rows that are not in a request yet, and all rows of call graphs.
pub struct DataSets {
    call_graph: CallGraph,
    samples: Samples,
    invocations: Invocations,
    notes: Notes,
    /// Names of the files with tables, by their numbers.
    files: Vec<String>,
}

/// A request that is complete.
pub struct Complete {
    pub signal: Signal,
    pub request: Bytes,
}

impl DataSets {
    /// Temporary files are in `scratch`.
    pub fn new(scratch: &Path) -> Self {
        Self {
            call_graph: CallGraph::new(scratch),
            samples: Samples::default(),
            invocations: Invocations::default(),
            notes: Notes::default(),
            files: Vec::new(),
        }
    }

    /// Starts a file. A file that is read twice counts as two files.
    pub fn begin_file(&mut self, name: &str) {
        self.files.push(name.to_owned());
    }

    /// Takes a row of the last file. `wanted` is the format that the user set. Returns the format of the row, or the reason why
    /// it cannot be used.
    ///
    /// # Errors
    /// If a temporary file cannot be written, or if there are too many names.
    pub fn take(
        &mut self,
        table: &Table,
        fields: &Fields,
        wanted: Option<Format>,
        begin: Position,
    ) -> anyhow::Result<Result<Format, &'static str>> {
        let at = At {
            file: self.files.len().saturating_sub(1) as u32,
            line: begin.line.unwrap_or(0),
            byte: begin.byte,
        };
        let year = wanted.and_then(year_of);
        let taken = match table.kind {
            Kind::CallGraph(year) => {
                let taken = self.call_graph.take(year, table, fields, at)?;
                return Ok(taken.map(|()| format_of(year)));
            }
            Kind::Functions => {
                let taken = self.invocations.take(table, fields, at.line);
                taken.map(|()| Format::Azure2021)
            }
            Kind::Nodes | Kind::Instances | Kind::Rates | Kind::AllRates => {
                self.samples.take(table, fields, year).map(format_of)
            }
        };
        if taken.is_ok() {
            self.notes.add(Note::TimeOrigin, 1, at);
            // The indices of the columns with the instance and with its node.
            let columns = match table.kind {
                Kind::Instances => Some((5, 1)),
                Kind::AllRates => Some((2, 3)),
                _ => None,
            };
            if let Some((instance, node)) = columns {
                self.call_graph
                    .place(table.get(fields, instance), table.get(fields, node))?;
            }
        }
        Ok(taken)
    }

    /// A request that has its full size. At the end of a file, every request with rows is complete.
    pub fn next_complete(&mut self, is_end: bool) -> Option<Complete> {
        let batches = [
            (Signal::Metrics, &mut self.samples.batch),
            (Signal::Traces, &mut self.invocations.batch),
        ];
        batches.into_iter().find_map(|(signal, batch)| {
            let request = batch.take_complete(is_end)?;
            Some(Complete { signal, request })
        })
    }

    /// The traces of call graphs, which add all assumptions to the tally later. Without call graphs, the assumptions are added
    /// now.
    pub fn finish(self, tally: &mut Tally) -> Option<Traces> {
        if self.call_graph.is_empty() {
            self.notes.add_to(tally, &self.files);
            return None;
        }
        Some(Traces::new(self.call_graph, self.notes, self.files))
    }
}

fn year_of(format: Format) -> Option<Year> {
    match format {
        Format::Alibaba2021 => Some(Year::Y2021),
        Format::Alibaba2022 => Some(Year::Y2022),
        _ => None,
    }
}

pub fn format_of(year: Year) -> Format {
    match year {
        Year::Y2021 => Format::Alibaba2021,
        Year::Y2022 => Format::Alibaba2022,
    }
}
