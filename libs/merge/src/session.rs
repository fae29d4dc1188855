//! [`Session`]: one merge of the folders, or of one bucket. Aligning clocks takes two sessions. A session reads the files of the
//! folders and writes the files of the result, each file after the files on which it depends.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use aggregate::links::{estimated_row, second_row};
use anyhow::Context;
use cctf_proto::cctf::{File, Shape};
use rundir::CCTF;
use rundir::output::{LinesOut, OutFolder, write_whole};

use crate::buckets::hand_over::hand_over;
use crate::buckets::lines::UNLISTED;
use crate::buckets::manifest::AllBuckets;
use crate::buckets::rows::merge_rows;
use crate::buckets::take_over::{check_full, take_over};
use crate::driver_events::merge_driver_events;
use crate::events::placement::PlacementEvents;
use crate::inventories::Inventories;
use crate::inventories::run_meta::MergedMeta;
use crate::made::TraceSource;
use crate::model::{Counts, Offset, Source, Summary, Timeouts};
use crate::progress::{Progress, Steps};
use crate::reader::for_each_line;
use crate::registry::EntityRegistry;
use crate::requests::RequestMerge;
use crate::requests::graph_stats::GraphStats;
use crate::requests::made_rows::MadeRows;
use crate::requests::unlisted::UnlistedOut;
use crate::rows::span_file::SpanFile;
use crate::samples::Samples;

pub struct Session<'o> {
    out: &'o OutFolder,
    /// Folder of the new run.
    run: PathBuf,
    /// Folder of the contract's files: `run/cctf`, or `run` itself if this is a bucket.
    cctf: PathBuf,
    counts: Counts,
    registry: EntityRegistry,
    inventories: Inventories,
    /// Traces that come from a [`TraceSource`] instead of a folder, and what is known of their rows.
    made: Option<(&'o mut dyn TraceSource, MadeRows)>,
}

impl<'o> Session<'o> {
    /// Creates the folder `run`.
    pub fn new(out: &'o OutFolder, run: PathBuf) -> anyhow::Result<Self> {
        let cctf = run.join(CCTF);
        Self::in_folders(out, run, cctf)
    }

    /// Creates the folder of a bucket, which is not a run.
    pub fn of_bucket(out: &'o OutFolder) -> anyhow::Result<Self> {
        Self::in_folders(out, out.run(), out.run())
    }

    fn in_folders(out: &'o OutFolder, run: PathBuf, cctf: PathBuf) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&cctf).with_context(|| format!("cannot create {}", cctf.display()))?;
        Ok(Self {
            out,
            run,
            cctf,
            counts: Counts::default(),
            registry: EntityRegistry::default(),
            inventories: Inventories::default(),
            made: None,
        })
    }

    /// Adds traces that do not come from a folder.
    pub fn with_traces(mut self, traces: &'o mut dyn TraceSource, source: &Source<'_>) -> Self {
        let rows = MadeRows::new(source.inputs.len() as u32);
        self.made = Some((traces, rows));
        self
    }

    /// Merges the folders. `run_meta.json` is written last, because a folder without it is not a run.
    pub fn run(
        mut self,
        source: &Source<'_>,
        on_progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<(Summary, BTreeMap<String, Offset>)> {
        let mut meta = self.open(source)?;
        self.counts.bytes = source
            .inputs
            .iter()
            .map(|input| input.folder().size_of_lines())
            .sum();
        let mut graph = GraphStats::new(self.out.scratch());
        self.resolve(source, &mut graph, None, on_progress)?;
        if let Some((traces, rows)) = &self.made {
            let conflicts = &mut self.inventories.conflicts;
            meta.add_made(rows, traces.stale_after(), conflicts)?;
        }
        self.derive(meta, graph, source)
    }

    /// Merges the rows of one bucket, and writes the files that [`Session::run_rests`] needs. Returns the bucket's counts and the run
    /// id of the result.
    pub fn run_bucket(
        mut self,
        source: &Source<'_>,
        on_progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<(Counts, String)> {
        let meta = self.open(source)?;
        let mut graph = GraphStats::new(self.out.scratch());
        let mut unlisted = UnlistedOut::create(&self.cctf.join(UNLISTED))?;
        self.resolve(source, &mut graph, Some(&mut unlisted), on_progress)?;
        unlisted.finish()?;
        check_full(&graph)?;
        hand_over(&self.cctf, &self.registry, &mut graph)?;
        Ok((self.counts, meta.run_id))
    }

    /// Writes the rest of the result, which depends on all buckets: everything except invocations and calls. With `has_rows`, also
    /// merges the invocations and calls of all buckets.
    pub fn run_rests(
        mut self,
        source: &Source<'_>,
        buckets: &AllBuckets,
        has_rows: bool,
        on_progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<(Summary, BTreeMap<String, Offset>)> {
        let meta = self.open(source)?;
        let mut graph = GraphStats::new(self.out.scratch());
        take_over(
            &buckets.folders,
            self.out.scratch(),
            &mut self.registry,
            &mut graph,
        )?;
        for bucket in &buckets.manifests {
            bucket.counts.add_to(&mut self.counts);
            self.counts.torn = self.counts.torn.max(bucket.counts.torn);
            self.counts.bytes += bucket.bytes.values().sum::<u64>();
        }
        if has_rows {
            merge_all_rows(buckets, &self.cctf, source.stop, on_progress)?;
        }
        self.derive(meta, graph, source)
    }

    /// Reads the `.json` files of the folders.
    fn open(&mut self, source: &Source<'_>) -> anyhow::Result<MergedMeta> {
        self.registry = EntityRegistry::with_limit(source.limits.names_bytes);
        let conflicts = &mut self.inventories.conflicts;
        let meta = MergedMeta::from_inputs(source.inputs, source.run_id, conflicts)?;
        for input in source.inputs {
            self.inventories.add(input)?;
        }
        self.inventories.modules.register(&mut self.registry)?;
        Ok(meta)
    }

    /// Merges invocations and calls.
    fn resolve(
        &mut self,
        source: &Source<'_>,
        graph: &mut GraphStats,
        unlisted: Option<&mut UnlistedOut>,
        on_progress: &mut dyn FnMut(Progress),
    ) -> anyhow::Result<()> {
        let made = self.made.as_mut();
        let made = made.map(|(traces, rows)| (&mut **traces as &mut dyn TraceSource, rows));
        let requests = RequestMerge {
            source,
            scratch: self.out.scratch(),
            cctf: &self.cctf,
            registry: &mut self.registry,
            graph,
            counts: &mut self.counts,
            unlisted,
            made,
        };
        requests.run(on_progress)
    }

    /// Writes everything except invocations and calls.
    fn derive(
        mut self,
        mut meta: MergedMeta,
        mut graph: GraphStats,
        source: &Source<'_>,
    ) -> anyhow::Result<(Summary, BTreeMap<String, Offset>)> {
        graph.settle(&self.registry);
        self.samples(File::HostMetrics, source)?;
        self.samples(File::SystemStats, source)?;
        self.placement_events(source, meta.timeouts)?;
        let offsets = match source.clocks {
            Some(subtracted) => subtracted.clone(),
            None => graph.clocks.offsets(&self.registry),
        };
        // link_metrics.jsonl is read before nodes.json is written, because its rows name nodes, too.
        let link_metrics = self.read_samples(File::LinkMetrics, source)?;
        let nodes = &mut self.inventories.nodes;
        let nodes = nodes.finish(&self.registry, &offsets, &mut self.inventories.conflicts);
        self.write_whole(File::Nodes, &nodes)?;
        self.links(link_metrics, &mut graph)?;
        let modules = self.inventories.modules.finish(&self.registry, &graph);
        self.write_whole(File::ModuleInventory, &modules)?;
        meta.derive(&modules)?;
        merge_driver_events(source, self.out.scratch(), &self.run, &mut self.counts)?;
        if source.clocks.is_some() {
            meta.set_aligned();
        }
        let summary = self.finish(meta, &offsets, source)?;
        Ok((summary, offsets))
    }

    fn finish(
        self,
        meta: MergedMeta,
        offsets: &BTreeMap<String, Offset>,
        source: &Source<'_>,
    ) -> anyhow::Result<Summary> {
        let (run_id, open, counts) = (meta.run_id.clone(), meta.open, self.counts);
        self.write_whole(File::RunMeta, &meta.finish(&counts))?;
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
            bytes_read: counts.bytes,
            rows_read: by_file(counts.read),
            rows: by_file(counts.written),
            duplicates: counts.duplicates,
            resolved: counts.resolved,
            orphans: counts.orphans,
            torn: counts.torn,
            cpu_notes: Vec::new(),
            cpu_damaged: 0,
            clocks: offsets
                .iter()
                .map(|(node, offset)| (node.clone(), offset.into()))
                .collect(),
            aligned: source.clocks.is_some(),
            conflicts: conflicts.count,
            conflicts_shown: conflicts.kept,
        })
    }

    fn read_samples(&mut self, file: File, source: &Source<'_>) -> anyhow::Result<Samples> {
        let mut samples = Samples::new(file, self.out.scratch(), source.limits.samples_bytes);
        for_each_line(
            source,
            file,
            &mut self.registry,
            &mut self.counts,
            |registry, line, _| samples.add(line, registry),
        )?;
        Ok(samples)
    }

    fn write_samples(&mut self, file: File, samples: Samples) -> anyhow::Result<()> {
        let mut out = create_lines(&self.cctf, file)?;
        self.counts.duplicates += samples.drain(|line| out.write(line))?;
        self.counts.written[file as usize] = out.finish()?;
        Ok(())
    }

    fn samples(&mut self, file: File, source: &Source<'_>) -> anyhow::Result<()> {
        let samples = self.read_samples(file, source)?;
        self.write_samples(file, samples)
    }

    fn placement_events(&mut self, source: &Source<'_>, timeouts: Timeouts) -> anyhow::Result<()> {
        const FILE: File = File::PlacementEvents;
        let mut events = PlacementEvents::new(self.out.scratch(), timeouts);
        for_each_line(
            source,
            FILE,
            &mut self.registry,
            &mut self.counts,
            |registry, line, _| events.add(line, registry),
        )?;
        if let Some((_, rows)) = &self.made {
            rows.each_start(&mut self.registry, |line, registry| events.add(line, registry))?;
        }
        let mut out = create_lines(&self.cctf, FILE)?;
        events.drain(&self.registry, |line| out.write(line))?;
        self.counts.written[FILE as usize] = out.finish()?;
        Ok(())
    }

    /// Derives rows from calls, and adds them to the samples of interfaces. Writes `links.json` and `link_metrics.jsonl`.
    fn links(&mut self, mut samples: Samples, graph: &mut GraphStats) -> anyhow::Result<()> {
        let (registry, nodes) = (&self.registry, &self.inventories.nodes);
        let nodes_by_id = registry.nodes.iter();
        let stages: Vec<_> = nodes_by_id.map(|node| nodes.stage_of(&node.name)).collect();
        let links = &mut self.inventories.links;
        graph.links.drain_grouped_seconds(|(u, v), second, calls| {
            // As in the normalizer: calls that ended in the first second after the epoch have no valid time.
            if second == 0 {
                return Ok(());
            }
            let (from, to) = (registry.node_name(u), registry.node_name(v));
            let link = format!("{from}->{to}");
            let row = second_row((from, stages[u.index()]), &link, second, calls);
            samples.add_derived(row.ts_ms.as_ns(), &row)
        })?;
        graph.links.drain_links(|(u, v), stats| {
            match estimated_row(registry.node_name(u), registry.node_name(v), stats) {
                Some(row) => links.set_estimate(&row),
                None => Ok(()),
            }
        })?;
        let links = self.inventories.links.encode();
        self.write_whole(File::Links, &links)?;
        self.write_samples(File::LinkMetrics, samples)
    }

    fn write_whole(&self, file: File, bytes: &[u8]) -> anyhow::Result<()> {
        write_whole(&self.cctf.join(file.name()), bytes)
    }
}

fn create_lines(cctf: &Path, file: File) -> anyhow::Result<LinesOut> {
    LinesOut::create(&cctf.join(file.name()))
}

/// Merges invocations and calls of all buckets by time.
pub fn merge_all_rows(
    buckets: &AllBuckets,
    cctf: &Path,
    stop: Option<&'static AtomicBool>,
    on_progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<()> {
    let bytes = |file: SpanFile| {
        let of = buckets.manifests.iter();
        of.filter_map(move |bucket| bucket.bytes.get(file.file().name()))
            .sum::<u64>()
    };
    let mut steps = Steps::new("rows", SpanFile::ALL.map(bytes).iter().sum(), stop, on_progress);
    for file in SpanFile::ALL {
        let path = cctf.join(file.file().name());
        merge_rows(&buckets.folders, file, &path, &mut |bytes| steps.add(bytes))?;
    }
    Ok(())
}
