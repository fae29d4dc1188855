//! [`Rewriter`]: the second pass over the folders. Lines in the order of their stamps, with what was found of them.

use std::path::Path;

use anyhow::Context;

use super::align::Shift;
use super::directory::Directory;
use super::fetch::Fetcher;
use super::gaps::{base, fields_of, find_gaps, write};
use super::records::Settled;
use super::session::Source;
use super::sorter::{Record, Sorter};
use super::spans::file_of;
use rundir::fields::put_in_order;
use rundir::output::LinesOut;

/// Writes one file.
pub struct Rewriter<'r> {
    lines: Renderer<'r>,
    /// Where it goes.
    pub out: LinesOut,
    /// The last row: it is written when the next one tells whether that has the same stamp.
    held: Option<(u64, Settled)>,
    line: Vec<u8>,
    /// Lines of one stamp, to be sorted by their bytes.
    same: Sorter,
}

impl<'r> Rewriter<'r> {
    /// From these folders to `out`; lines of one stamp that do not fit into memory go to `scratch`.
    pub fn new(
        source: &Source<'r>,
        directory: &'r Directory,
        is_call: bool,
        out: LinesOut,
        scratch: &Path,
    ) -> Self {
        let file = file_of(is_call);
        Self {
            lines: Renderer {
                is_call,
                directory,
                fetcher: Fetcher::new(source.inputs, file, source.limits.lines_bytes),
                shift: source.clocks.map(|clocks| Shift::new(file, clocks)),
            },
            out,
            held: None,
            line: Vec::new(),
            same: Sorter::new(scratch, source.limits.samples_bytes),
        }
    }

    /// Takes the next row by its stamp.
    pub fn add(&mut self, stamp: u64, settled: &[u8]) -> anyhow::Result<()> {
        let settled = Settled::read(settled).context("a temporary file has not kept what was written")?;
        match self.held.replace((stamp, settled)) {
            Some((last, before)) if last == stamp => self.keep_same(&before),
            Some((_, before)) => self.write(&before),
            None => Ok(()),
        }
    }

    /// Writes what is held back and makes all durable; returns the number of lines.
    pub fn finish(mut self) -> anyhow::Result<u64> {
        if let Some((_, last)) = self.held.take() {
            self.write(&last)?;
        }
        self.out.finish()
    }

    /// Puts a row among those of its stamp.
    fn keep_same(&mut self, settled: &Settled) -> anyhow::Result<()> {
        self.line.clear();
        self.lines.render(settled, &mut self.line)?;
        self.same.push(&Record {
            key: 0,
            identity: &[],
            line: &self.line,
        })
    }

    /// Writes the last row of a stamp, and those that were kept with it.
    fn write(&mut self, settled: &Settled) -> anyhow::Result<()> {
        if self.same.is_empty() {
            return self.out.write_with(|out| self.lines.render(settled, out));
        }
        self.keep_same(settled)?;
        self.same.drain(|record| self.out.write(record.line))
    }
}

/// Makes lines of what was found and the lines of the folders.
struct Renderer<'r> {
    is_call: bool,
    directory: &'r Directory,
    fetcher: Fetcher<'r>,
    shift: Option<Shift<'r>>,
}

impl Renderer<'_> {
    /// Appends the row's line as it is written.
    fn render(&mut self, settled: &Settled, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let line = self.fetcher.line(settled.origin)?;
        let line = match &mut self.shift {
            Some(shift) => shift.line(line)?,
            None => line,
        };
        let derived = settled.derived(|module| self.directory.module_name(module));
        if let Some(gaps) = settled.gaps {
            write(
                base(line, gaps.places()).context(CHANGED)?,
                self.is_call,
                &derived,
                out,
            );
            return Ok(());
        }
        let ordered = put_in_order(line, fields_of(self.is_call)).context(CHANGED)?;
        let line = ordered.as_deref().unwrap_or(line);
        let gaps = find_gaps(line, self.is_call).context(CHANGED)?;
        write(base(line, gaps).context(CHANGED)?, self.is_call, &derived, out);
        Ok(())
    }
}

/// Lines are only ever appended to the files of a run.
const CHANGED: &str = "a file of a folder has changed while it was merged";
