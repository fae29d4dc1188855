//! Merges invocations and calls in two passes over the folders.
//!
//! 1. [`spread`]: lines become records, in [`partitions`] by trace.
//! 2. [`traces`]: each trace is deduplicated and [resolved](resolve). [`graph_stats`] and [`clocks`] collect the values for
//!    modules, links and clocks.
//! 3. [`rewrite`]: the lines are [read](fetch) a second time, in order of time, and written with new derived fields.

pub mod clocks;
pub mod fetch;
pub mod graph_stats;
pub mod partitions;
pub mod resolve;
pub mod rewrite;
pub mod spread;
pub mod traces;

use std::path::Path;

use rundir::output::LinesOut;

use crate::model::{Counts, Source};
use crate::progress::{Progress, Steps};
use crate::reader::for_each_line;
use crate::registry::EntityRegistry;
use crate::rows::span_file::SpanFile;
use cctf_sort::sorter::Sorter;
use graph_stats::GraphStats;
use partitions::Partitions;
use rewrite::Rewriter;
use spread::Spread;
use traces::Traces;

/// Approximate number of bytes of lines for each byte of records. It only affects the number of partitions.
const LINE_BYTES_PER_RECORD_BYTE: u64 = 4;

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
}

impl RequestMerge<'_> {
    pub fn run(mut self, on_progress: &mut dyn FnMut(Progress)) -> anyhow::Result<()> {
        let folders = self.source.inputs.iter();
        let sizes = folders.flat_map(|input| SpanFile::ALL.map(|file| input.folder().size(file.file())));
        let bytes = sizes.sum();
        let partitions = self.spread(bytes, on_progress)?;
        let sorted = self.resolve(partitions, on_progress)?;
        self.write(sorted, bytes, on_progress)
    }

    fn spread(&mut self, bytes: u64, on_progress: &mut dyn FnMut(Progress)) -> anyhow::Result<Partitions> {
        let mut partitions = Partitions::new(
            self.scratch,
            bytes / LINE_BYTES_PER_RECORD_BYTE,
            self.source.limits.partition_bytes / 2,
            0,
        )?;
        let mut spread = Spread::new(&mut partitions);
        let mut steps = Steps::new("read", bytes, on_progress);
        for file in SpanFile::ALL {
            for_each_line(
                self.source,
                file.file(),
                self.registry,
                self.counts,
                |registry, line, location| {
                    steps.add(u64::from(location.length) + 1);
                    spread.add(line, location, file, registry)
                },
            )?;
        }
        Ok(partitions)
    }

    /// Returns the resolved rows by time: invocations, then calls.
    fn resolve(
        &mut self,
        mut partitions: Partitions,
        on_progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<[Sorter; 2]> {
        let limits = &self.source.limits;
        let sorted = SpanFile::ALL.map(|_| Sorter::new(self.scratch, limits.spans_bytes));
        let mut traces = Traces::new(self.registry, self.graph, sorted, self.counts);
        let mut steps = Steps::new("resolve", partitions.sizes().iter().sum(), on_progress);
        traces.resolve(&mut partitions, self.scratch, limits, &mut |bytes| {
            steps.add(bytes)
        })?;
        Ok(traces.sorted)
    }

    fn write(
        &mut self,
        sorted: [Sorter; 2],
        bytes: u64,
        on_progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<()> {
        let mut steps = Steps::new("write", bytes, on_progress);
        for (file, mut sorter) in SpanFile::ALL.into_iter().zip(sorted) {
            let out = LinesOut::create(&self.cctf.join(file.file().name()))?;
            let mut rewriter = Rewriter::new(self.source, self.registry, file, out, self.scratch);
            let mut written = 0;
            sorter.drain(|record| {
                rewriter.add(record.key, record.line)?;
                steps.add(rewriter.out.bytes - written);
                written = rewriter.out.bytes;
                Ok(())
            })?;
            self.counts.written[file.file() as usize] = rewriter.finish()?;
        }
        Ok(())
    }
}
