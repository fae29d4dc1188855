//! [`Rewriter`]: the second pass over the folders. Writes the lines by timestamp, with their resolved derived fields.

use std::path::Path;

use anyhow::Context;
use rundir::fields::put_in_order;
use rundir::output::LinesOut;

use crate::made::TraceSource;
use crate::model::Source;
use crate::registry::EntityRegistry;
use crate::requests::fetch::Fetcher;
use crate::rows::derived_fields::{find_derived_fields, own_parts, write_line};
use crate::rows::records::ResolvedRow;
use crate::rows::span_file::SpanFile;
use crate::shift::Shift;
use cctf_sort::record::Record;
use cctf_sort::scratch::DAMAGED;
use cctf_sort::sorter::Sorter;

/// Writes one file.
pub struct Rewriter<'r> {
    lines: Renderer<'r>,
    pub out: LinesOut,
    /// Key of the last row. It is not written yet, because that depends on whether the next row has the same key.
    held: Option<u64>,
    /// Its record.
    record: Vec<u8>,
    line: Vec<u8>,
    /// Lines with the same timestamp, which are sorted by their bytes.
    same: Sorter,
}

impl<'r> Rewriter<'r> {
    /// `scratch` is the folder for lines with the same timestamp that do not fit into `held_bytes` together.
    pub fn new(lines: Renderer<'r>, out: LinesOut, scratch: &Path, held_bytes: usize) -> Self {
        Self {
            lines,
            out,
            held: None,
            record: Vec::new(),
            line: Vec::new(),
            same: Sorter::new(scratch, held_bytes),
        }
    }

    /// Adds the next row in order of time. Rows with the same timestamp have the same `key`.
    pub fn add(&mut self, key: u64, resolved: &[u8]) -> anyhow::Result<()> {
        match self.held.replace(key) {
            Some(last) if last == key => self.keep_same()?,
            Some(_) => self.write()?,
            None => {}
        }
        self.record.clear();
        self.record.extend_from_slice(resolved);
        Ok(())
    }

    /// Writes the last row, makes the file durable, and returns its number of lines.
    pub fn finish(mut self) -> anyhow::Result<u64> {
        if self.held.take().is_some() {
            self.write()?;
        }
        self.out.finish()
    }

    /// Adds the held row to the lines with the same timestamp.
    fn keep_same(&mut self) -> anyhow::Result<()> {
        self.line.clear();
        self.lines.render(&self.record, &mut self.line)?;
        self.same.push(&Record {
            key: 0,
            identity: &[],
            line: &self.line,
        })
    }

    /// Writes the held row, which is the last one of a timestamp, and all earlier rows of this timestamp.
    fn write(&mut self) -> anyhow::Result<()> {
        if self.same.is_empty() {
            return self.out.write_with(|out| self.lines.render(&self.record, out));
        }
        self.keep_same()?;
        self.same.drain(|record| self.out.write(record.line))
    }
}

/// Creates the line of a resolved row, from its line in a folder or from the record of its source.
pub struct Renderer<'r> {
    file: SpanFile,
    registry: &'r EntityRegistry,
    fetcher: Fetcher<'r>,
    shift: Option<Shift<'r>>,
    made: Option<&'r mut dyn TraceSource>,
}

impl<'r> Renderer<'r> {
    /// `fetcher` reads the lines of folders. `made` makes the lines of its own rows.
    pub fn new(
        source: &Source<'r>,
        registry: &'r EntityRegistry,
        (file, fetcher): (SpanFile, Fetcher<'r>),
        made: Option<&'r mut dyn TraceSource>,
    ) -> Self {
        Self {
            file,
            registry,
            fetcher,
            shift: source.clocks.map(|clocks| Shift::new(file.file(), clocks)),
            made,
        }
    }

    /// Appends the row's line.
    fn render(&mut self, resolved: &[u8], out: &mut Vec<u8>) -> anyhow::Result<()> {
        let (row, record) = ResolvedRow::read(resolved).context(DAMAGED)?;
        let derived = row.fields(|module| self.registry.module_name(module));
        if !row.location.is_in_folder() {
            let source = self.made.as_deref_mut().context(DAMAGED)?;
            return source.write(self.file, record, &derived, out);
        }
        let line = self.fetcher.line(row.location)?;
        let line = match &mut self.shift {
            Some(shift) => shift.line(line)?,
            None => line,
        };
        if let Some(offsets) = row.derived_fields {
            let own = own_parts(line, offsets.ranges()).context(CHANGED)?;
            write_line(own, self.file, &derived, out);
            return Ok(());
        }
        let ordered = put_in_order(line, self.file.fields()).context(CHANGED)?;
        let line = ordered.as_deref().unwrap_or(line);
        let ranges = find_derived_fields(line, self.file).context(CHANGED)?;
        let own = own_parts(line, ranges).context(CHANGED)?;
        write_line(own, self.file, &derived, out);
        Ok(())
    }
}

/// Normalizers only append to these files, so a line that changed is an error.
const CHANGED: &str = "cannot merge the folders: a file changed during the merge";
