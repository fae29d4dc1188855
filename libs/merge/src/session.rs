//! [`Session`]: one pass over the folders, from their files to those of the result.

use std::collections::BTreeMap;
use std::path::PathBuf;

use aggregate::links::{estimated_row, second_row};
use anyhow::{Context, bail};
use cctf_proto::cctf::{File, Shape};

use super::align::Shift;
use super::clocks::Offset;
use super::directory::Directory;
use super::inputs::{Input, next_line};
use super::inventories::Inventories;
use super::learned::Learned;
use super::meta::{Meta, Patience};
use super::placement::Placement;
use super::progress::{Progress, Steps};
use super::rewrite::Rewriter;
use super::rows::Origin;
use super::samples::Samples;
use super::sorter::{Record, Sorter};
use super::spans::{Spans, Spread, file_of};
use super::spool::Spool;
use super::{ClockOffset, Limits, Summary, Tally};
use rundir::fields::Fields;
use rundir::output::{LinesOut, OutFolder, write_whole};
use rundir::{EVENTS_CLIENT, Ending};

/// A row's record takes about this part of its line. It decides on the number of partitions, which can be off.
const RECORD_PART: u64 = 4;

/// What is merged.
#[derive(Clone, Copy)]
pub struct Source<'s> {
    /// The folders.
    pub inputs: &'s [Input],
    /// The run that the result is of, if it is told.
    pub run_id: Option<&'s str>,
    /// What is taken from each node's stamps.
    pub clocks: Option<&'s BTreeMap<String, Offset>>,
    /// What is held.
    pub limits: Limits,
}

/// A pass under way.
pub struct Session<'o> {
    out: &'o OutFolder,
    /// Where the files go.
    run: PathBuf,
    tally: Tally,
    directory: Directory,
    inventories: Inventories,
}

impl<'o> Session<'o> {
    /// A pass whose files go to the folder `run`, which is made.
    pub fn new(out: &'o OutFolder, run: PathBuf) -> anyhow::Result<Self> {
        let cctf = run.join("cctf");
        std::fs::create_dir_all(&cctf).with_context(|| format!("make {}", cctf.display()))?;
        Ok(Self {
            out,
            run,
            tally: Tally::default(),
            directory: Directory::default(),
            inventories: Inventories::default(),
        })
    }

    /// Merges. The description of the run is written last: without it a folder is no run.
    pub fn run(
        mut self,
        source: &Source<'_>,
        on_progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<(Summary, BTreeMap<String, Offset>)> {
        let mut meta = Meta::of(source.inputs, source.run_id, &mut self.inventories.conflicts)?;
        for input in source.inputs {
            self.inventories.add(input)?;
        }
        self.inventories.tell(&mut self.directory)?;
        self.tally.bytes = source
            .inputs
            .iter()
            .map(|input| input.folder().size_of_lines())
            .sum();
        let mut learned = Learned::new(self.out.scratch());
        self.spans(source, &mut learned, on_progress)?;
        self.samples(File::HostMetrics, source)?;
        self.samples(File::SystemStats, source)?;
        self.placement(source, meta.patience)?;
        let offsets = match source.clocks {
            // Of aligned stamps the offsets are told that were taken from them.
            Some(clocks) => clocks.clone(),
            None => learned.clocks.offsets(&self.directory),
        };
        // Interfaces name nodes, too.
        let links = self.read_samples(File::LinkMetrics, source)?;
        let nodes = self.inventories.nodes(&self.directory, &offsets);
        self.whole(File::Nodes, &nodes)?;
        self.links(links, &mut learned)?;
        let modules = self.inventories.modules(&self.directory, &learned);
        self.whole(File::ModuleInventory, &modules)?;
        meta.derive(&modules)?;
        self.events_client(source)?;
        if source.clocks.is_some() {
            meta.set_aligned();
        }
        let summary = self.finish(meta, &offsets, source)?;
        Ok((summary, offsets))
    }

    fn finish(
        self,
        meta: Meta,
        offsets: &BTreeMap<String, Offset>,
        source: &Source<'_>,
    ) -> anyhow::Result<Summary> {
        let (run_id, open, tally) = (meta.run_id.clone(), meta.open, self.tally);
        let bytes = meta.write(&tally);
        self.whole(File::RunMeta, &bytes)?;
        let by_file = |counts: [u64; File::ALL.len()]| {
            let lines = File::ALL.iter().filter(|file| file.shape() == Shape::Lines);
            lines.map(|&file| (file.name(), counts[file as usize])).collect()
        };
        let conflicts = self.inventories.conflicts;
        Ok(Summary {
            out: PathBuf::new(),
            run_id,
            folders: source.inputs.len() as u64,
            open,
            bytes_read: tally.bytes,
            rows_read: by_file(tally.read),
            rows: by_file(tally.written),
            duplicates: tally.duplicates,
            resolved: tally.resolved,
            orphans: tally.orphans,
            torn: tally.torn,
            clocks: offsets
                .iter()
                .map(|(node, offset)| (node.clone(), told(offset)))
                .collect(),
            aligned: source.clocks.is_some(),
            conflicts: conflicts.count,
            conflicts_shown: conflicts.kept,
        })
    }

    fn spans(
        &mut self,
        source: &Source<'_>,
        learned: &mut Learned,
        on_progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<()> {
        let scratch = self.out.scratch();
        let of_spans = [File::Invocations, File::Calls];
        let all: u64 = source
            .inputs
            .iter()
            .flat_map(|input| of_spans.map(|file| input.folder().size(file)))
            .sum();
        let mut spool = Spool::new(scratch, all / RECORD_PART, source.limits.partition_bytes / 2, 0)?;
        let mut spread = Spread::new(&mut spool);
        let mut steps = Steps::new("read", all, on_progress);
        for is_call in [false, true] {
            for (number, input) in (0..).zip(source.inputs) {
                self.directory.reading = number;
                self.each_line(
                    input,
                    file_of(is_call),
                    source,
                    |directory, line, (at, length)| {
                        steps.add(u64::from(length) + 1);
                        let origin = Origin {
                            input: number,
                            at,
                            length,
                        };
                        spread.add(line, origin, is_call, directory)
                    },
                )?;
            }
        }
        let mut invocations = Sorter::new(scratch, source.limits.spans_bytes);
        let mut calls = Sorter::new(scratch, source.limits.spans_bytes);
        let mut spans = Spans::new(
            &mut self.directory,
            learned,
            [&mut invocations, &mut calls],
            &mut self.tally,
        );
        let mut steps = Steps::new("resolve", spool.sizes().iter().sum(), on_progress);
        spans.resolve(&mut spool, scratch, &source.limits, &mut |bytes| steps.add(bytes))?;
        drop(spool);
        let mut steps = Steps::new("write", all, on_progress);
        for (mut sorter, is_call) in [(invocations, false), (calls, true)] {
            let out = self.lines_of(file_of(is_call))?;
            let mut rewriter = Rewriter::new(source, &self.directory, is_call, out, scratch);
            let mut written = 0;
            sorter.drain(|record| {
                rewriter.add(record.key, record.line)?;
                steps.add(rewriter.out.bytes - written);
                written = rewriter.out.bytes;
                Ok(())
            })?;
            self.tally.written[file_of(is_call) as usize] = rewriter.finish()?;
        }
        Ok(())
    }

    /// Hands each line of a file of one folder to `take`, with its stamps shifted if they are to be; and where it begins in
    /// its file and how long it is there.
    fn each_line(
        &mut self,
        input: &Input,
        file: File,
        source: &Source<'_>,
        mut take: impl FnMut(&mut Directory, &[u8], (u64, u32)) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(mut lines) = input.folder().lines(file)? else {
            return Ok(());
        };
        let mut shift = source.clocks.map(|clocks| Shift::new(file, clocks));
        while let Some(line) = next_line(&mut lines)? {
            // The last line of a run that was killed, or still grows, may be incomplete.
            if line.ending == Ending::EndOfFile
                && serde_json::from_slice::<serde::de::IgnoredAny>(line.bytes).is_err()
            {
                self.tally.torn += 1;
                continue;
            }
            self.tally.read[file as usize] += 1;
            let shifted = match &mut shift {
                Some(shift) => shift.line(line.bytes),
                None => Ok(line.bytes),
            };
            let place = (line.offset, line.bytes.len() as u32);
            let taken = shifted.and_then(|line| take(&mut self.directory, line, place));
            if let Err(error) = taken {
                return Err(error.context(lines.place()));
            }
        }
        Ok(())
    }

    fn read_samples(&mut self, file: File, source: &Source<'_>) -> anyhow::Result<Samples> {
        let mut samples = Samples::new(file, self.out.scratch(), source.limits.samples_bytes);
        for (number, input) in (0..).zip(source.inputs) {
            self.directory.reading = number;
            self.each_line(input, file, source, |directory, line, _| {
                samples.add(line, directory)
            })?;
        }
        Ok(samples)
    }

    fn write_samples(&mut self, file: File, samples: Samples) -> anyhow::Result<()> {
        let mut out = self.lines_of(file)?;
        self.tally.duplicates += samples.drain(|line| out.write(line))?;
        self.tally.written[file as usize] = out.finish()?;
        Ok(())
    }

    fn samples(&mut self, file: File, source: &Source<'_>) -> anyhow::Result<()> {
        let samples = self.read_samples(file, source)?;
        self.write_samples(file, samples)
    }

    fn placement(&mut self, source: &Source<'_>, patience: Patience) -> anyhow::Result<()> {
        let mut placement = Placement::new(self.out.scratch(), patience);
        for (number, input) in (0..).zip(source.inputs) {
            self.directory.reading = number;
            self.each_line(input, File::PlacementEvents, source, |directory, line, _| {
                placement.add(line, directory)
            })?;
        }
        let mut out = self.lines_of(File::PlacementEvents)?;
        placement.drain(&self.directory, |line| out.write(line))?;
        self.tally.written[File::PlacementEvents as usize] = out.finish()?;
        Ok(())
    }

    /// Adds what the calls say of the links to the samples of interfaces, and writes both files of links.
    fn links(&mut self, mut samples: Samples, learned: &mut Learned) -> anyhow::Result<()> {
        let (directory, inventories) = (&self.directory, &mut self.inventories);
        let stages: Vec<_> = directory
            .nodes
            .iter()
            .map(|node| inventories.stage_of(&node.name))
            .collect();
        let name = |number: u32| directory.nodes[number as usize].name.as_str();
        let mut failed = None;
        learned.take_links(
            self.out.scratch(),
            |(u, v), second, calls| {
                // As the normalizer: the first second since the epoch has no stamp above zero.
                if second == 0 {
                    return Ok(());
                }
                let link = format!("{}->{}", name(u), name(v));
                let row = second_row((name(u), stages[u as usize]), &link, second, calls);
                samples.add_made(row.ts_ms.as_ns(), &row)
            },
            |(u, v), stats| {
                if let Some(row) = estimated_row(name(u), name(v), stats) {
                    failed = failed.take().or(inventories.set_link(&row).err());
                }
            },
        )?;
        if let Some(error) = failed {
            return Err(error);
        }
        let links = self.inventories.links();
        self.whole(File::Links, &links)?;
        self.write_samples(File::LinkMetrics, samples)
    }

    /// What drivers saw: the lines of all folders by their stamps, each once.
    fn events_client(&mut self, source: &Source<'_>) -> anyhow::Result<()> {
        let mut sorter = Sorter::new(self.out.scratch(), source.limits.samples_bytes);
        let mut is_there = false;
        for input in source.inputs {
            let Some(mut lines) = input.folder().events_client()? else {
                continue;
            };
            is_there = true;
            while let Some(line) = next_line(&mut lines)? {
                if line.ending == Ending::EndOfFile {
                    self.tally.torn += 1;
                    continue;
                }
                let stamp = stamp_of(line.bytes)?;
                sorter.push(&Record {
                    key: 0,
                    identity: stamp,
                    line: line.bytes,
                })?;
            }
        }
        if !is_there {
            return Ok(());
        }
        let mut out = LinesOut::create(&self.run.join(EVENTS_CLIENT))?;
        let mut last: Vec<u8> = Vec::new();
        sorter.drain(|record| {
            if last == record.line {
                return Ok(());
            }
            last.clear();
            last.extend_from_slice(record.line);
            out.write(record.line)
        })?;
        out.finish()?;
        Ok(())
    }

    fn lines_of(&self, file: File) -> anyhow::Result<LinesOut> {
        LinesOut::create(&self.run.join("cctf").join(file.name()))
    }

    fn whole(&self, file: File, bytes: &[u8]) -> anyhow::Result<()> {
        write_whole(&self.run.join("cctf").join(file.name()), bytes)
    }
}

fn told(offset: &Offset) -> ClockOffset {
    ClockOffset {
        offset_ms: offset.ns as f64 / 1e6,
        error_ms: offset.error_ns as f64 / 1e6,
    }
}

/// The stamp of a line of the driver's, as it is written: they all have the same form.
fn stamp_of(line: &[u8]) -> anyhow::Result<&[u8]> {
    let mut scan = Fields::new(line).context(EVENTS_CLIENT)?;
    while let Some(field) = scan.next_field().context(EVENTS_CLIENT)? {
        if field.name == b"timestamp" {
            return Ok(field.value);
        }
    }
    bail!("{EVENTS_CLIENT}: a line without timestamp")
}
