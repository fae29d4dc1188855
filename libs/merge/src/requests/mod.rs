//! Merges invocations and calls in two passes over the folders.
//!
//! 1. [`spread`]: lines become records, in [`partitions`] by trace. A bucket keeps [`copies`] of its lines.
//! 2. [`traces`]: each trace is deduplicated and [resolved](resolve). [`graph_stats`] collects what follows for
//!    modules with their [`endpoints`], for links with [`link_calls`], and for [`clocks`]. Traces that are in no folder begin here,
//!    as [`made_rows`].
//! 3. [`rewrite`]: lines are [fetched](fetch) again in the order of time, and written with new derived fields.

pub mod clocks;
pub mod copies;
pub mod endpoints;
pub mod fetch;
pub mod graph_stats;
pub mod link_calls;
pub mod made_rows;
pub mod partitions;
pub mod resolve;
pub mod rewrite;
pub mod spread;
pub mod traces;
pub mod unlisted;

use std::fs;
use std::path::Path;

use rundir::output::LinesOut;

use crate::made::TraceSource;
use crate::model::{Counts, Source};
use crate::progress::{Progress, Steps};
use crate::reader::for_each_line;
use crate::registry::EntityRegistry;
use crate::rows::span_file::SpanFile;
use cctf_sort::sorter::Sorter;
use copies::Copies;
use fetch::Fetcher;
use graph_stats::GraphStats;
use made_rows::MadeRows;
use partitions::Partitions;
use rewrite::{Renderer, Rewriter};
use spread::Spread;
use traces::Traces;
use unlisted::UnlistedOut;

/// Approximate number of bytes of lines for each byte of records. It only affects the number of partitions.
const LINE_BYTES_PER_RECORD_BYTE: u64 = 4;
/// Approximate sizes, for the progress: of the record of a source of traces, and of the line of a row that has none yet.
const RECORD_BYTES: u64 = 100;
const LINE_BYTES: u64 = 560;

/// The merge of both files.
pub struct RequestMerge<'m> {
    pub source: &'m Source<'m>,
    /// Folder of temporary files.
    pub scratch: &'m Path,
    /// Folder of the result's files.
    pub cctf: &'m Path,
    pub registry: &'m mut EntityRegistry,
    pub graph: &'m mut GraphStats,
    pub counts: &'m mut Counts,
    /// Invocations of endpoints that are not listed; `None` if they are counted as one.
    pub unlisted: Option<&'m mut UnlistedOut>,
    /// Traces that are in no folder, and what is known of their rows.
    pub made: Option<(&'m mut dyn TraceSource, &'m mut MadeRows)>,
}

impl RequestMerge<'_> {
    pub fn run(mut self, on_progress: &mut dyn FnMut(Progress)) -> anyhow::Result<()> {
        let folders = self.source.inputs.iter();
        let sizes = folders.flat_map(|input| {
            let size = |file: SpanFile| input.folder_of(file.file()).size(file.file());
            SpanFile::ALL.map(size)
        });
        // A bucket has its share of the rows.
        let buckets = self.source.bucket.map_or(1, |bucket| bucket.of.get());
        let bytes = sizes.sum::<u64>() / u64::from(buckets);
        let (partitions, copies) = self.spread(bytes, on_progress)?;
        let sorted = self.resolve(partitions, on_progress)?;
        self.write(sorted, copies, bytes, on_progress)
    }

    /// Returns the records, and of each file a copy of the lines, if copies are kept.
    fn spread(
        &mut self,
        bytes: u64,
        on_progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<(Partitions, Vec<Option<fs::File>>)> {
        let mut partitions = Partitions::new(
            self.scratch,
            bytes / LINE_BYTES_PER_RECORD_BYTE,
            self.source.limits.partition_bytes / 2,
            0,
        )?;
        let mut spread = Spread::new(&mut partitions);
        let mut steps = Steps::new("read", bytes, self.source.stop, on_progress);
        // Aligned buckets read their own rows only.
        let has_copies = self.source.bucket.is_some() && self.source.clocks.is_none();
        let mut kept = Vec::new();
        for file in SpanFile::ALL {
            let mut copies = has_copies.then(|| Copies::new(self.scratch)).transpose()?;
            for_each_line(
                self.source,
                file.file(),
                self.registry,
                self.counts,
                |registry, line, location| {
                    steps.add(u64::from(location.length) + 1)?;
                    let location = match &mut copies {
                        Some(copies) => copies.add(line)?,
                        None => location,
                    };
                    spread.add(line, location, file, registry)
                },
            )?;
            kept.push(copies.map(Copies::finish).transpose()?);
        }
        Ok((partitions, kept))
    }

    /// Returns the resolved rows by time: invocations, then calls.
    fn resolve(
        &mut self,
        mut partitions: Partitions,
        on_progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<[Sorter; 2]> {
        let limits = &self.source.limits;
        let sorted = SpanFile::ALL.map(|_| Sorter::new(self.scratch, limits.spans_bytes));
        let unlisted = self.unlisted.as_deref_mut();
        let mut traces = Traces::new(self.registry, self.graph, sorted, self.counts, unlisted);
        let mut steps = Steps::new(
            "resolve",
            partitions.sizes().iter().sum(),
            self.source.stop,
            on_progress,
        );
        traces.resolve(&mut partitions, self.scratch, limits, &mut |bytes| {
            steps.add(bytes)
        })?;
        if let Some((source, rows)) = &mut self.made {
            let bytes = source.records() * RECORD_BYTES;
            let mut steps = Steps::new("rebuild", bytes, self.source.stop, on_progress);
            source.each_trace(&mut |trace, records| {
                steps.add(records * RECORD_BYTES)?;
                traces.resolve_made(trace, rows)
            })?;
        }
        Ok(traces.sorted)
    }

    fn write(
        &mut self,
        sorted: [Sorter; 2],
        copies: Vec<Option<fs::File>>,
        bytes: u64,
        on_progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<()> {
        let made = self.made.as_ref().map_or(0, |(_, rows)| rows.rows * LINE_BYTES);
        let mut steps = Steps::new("write", bytes + made, self.source.stop, on_progress);
        let files = SpanFile::ALL.into_iter().zip(copies);
        for ((file, copies), mut sorter) in files.zip(sorted) {
            let out = LinesOut::create(&self.cctf.join(file.file().name()))?;
            let (inputs, held_bytes) = (self.source.inputs, self.source.limits.lines_bytes);
            let fetcher = match copies {
                Some(copies) => Fetcher::of_copies(inputs, file.file(), copies, held_bytes),
                None => Fetcher::new(inputs, file.file(), held_bytes),
            };
            let source = self.made.as_mut();
            let source = source.map(|(source, _)| &mut **source as &mut dyn TraceSource);
            let lines = Renderer::new(self.source, self.registry, (file, fetcher), source);
            let mut rewriter = Rewriter::new(lines, out, self.scratch, self.source.limits.samples_bytes);
            let mut written = 0;
            sorter.drain(|record| {
                rewriter.add(record.key, record.line)?;
                steps.add(rewriter.out.bytes - written)?;
                written = rewriter.out.bytes;
                Ok(())
            })?;
            self.counts.written[file.file() as usize] = rewriter.finish()?;
        }
        Ok(())
    }
}
