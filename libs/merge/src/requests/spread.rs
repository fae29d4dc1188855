//! [`Spread`]: the first pass over the folders. It turns lines into records and divides these into partitions by trace.

use rundir::fields::put_in_order;

use crate::inputs::LineLocation;
use crate::reader::unusable;
use crate::registry::EntityRegistry;
use crate::requests::partitions::{Partitions, trace_hash};
use crate::rows::read::{RowError, read};
use crate::rows::records::push_row;
use crate::rows::row::SpanRow;
use crate::rows::span_file::SpanFile;

pub struct Spread<'s> {
    partitions: &'s mut Partitions,
    record: Vec<u8>,
}

impl<'s> Spread<'s> {
    pub fn new(partitions: &'s mut Partitions) -> Self {
        Self {
            partitions,
            record: Vec::new(),
        }
    }

    pub fn add(
        &mut self,
        line: &[u8],
        location: LineLocation,
        file: SpanFile,
        registry: &mut EntityRegistry,
    ) -> anyhow::Result<()> {
        match read(line, location, file, registry) {
            Ok(row) => self.push(&row, line),
            Err(RowError::Disordered) => self.add_disordered(line, location, file, registry),
            Err(error) => Err(unusable(error, line)),
        }
    }

    /// Adds a line whose fields are in another order. It first sorts the fields into the contract's order.
    #[cold]
    fn add_disordered(
        &mut self,
        line: &[u8],
        location: LineLocation,
        file: SpanFile,
        registry: &mut EntityRegistry,
    ) -> anyhow::Result<()> {
        let ordered = put_in_order(line, file.fields())?;
        let line = ordered.as_deref().unwrap_or(line);
        let mut row = read(line, location, file, registry).map_err(|error| unusable(error, line))?;
        // The offsets of the sorted line differ from those of the line in its file.
        row.derived_fields = None;
        self.push(&row, line)
    }

    fn push(&mut self, row: &SpanRow, line: &[u8]) -> anyhow::Result<()> {
        self.record.clear();
        push_row(row, line, &mut self.record);
        self.partitions.push(trace_hash(&row.trace_id), &self.record)
    }
}
