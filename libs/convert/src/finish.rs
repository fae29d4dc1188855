//! [`Writing`]: makes the result of the runs that the pipeline wrote. Each run is merged with itself, so that rows are connected
//! however far apart they are in the files. The traces of call graphs are merged into their run. Then each run gets the facts
//! about its origin.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use cctf_merge::{merge, merge_traces};
use cctf_proto::cctf::{Counters, File, Milliseconds, Row, RunMeta, Text};
use cctf_proto::keys::LATEST_LINK;
use rundir::CCTF;
use rundir::output::{OutFolder, write_whole};
use serde::Serialize;

use crate::alibaba::Traces;
use crate::job::Progress;
use crate::tally::{Format, Tally};

/// Maximum size of the names of modules, instances and nodes in call graphs. The data set of 2022 has about 600,000 of them.
const NAMES_BYTES_MAX: usize = 512 << 20;

/// A run of the result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunSummary {
    pub run_id: String,
    /// The run's folder.
    pub folder: PathBuf,
    /// Lines by file.
    pub rows: BTreeMap<&'static str, u64>,
    /// Rows whose caller is in none of the files.
    pub orphans: u64,
    /// Rows whose caller came so much later that only the merge found it.
    pub resolved: u64,
    /// Rows that were recorded more than once.
    pub duplicates: u64,
    /// Spans and points that the run could not take, by reason.
    pub rejected: BTreeMap<String, u64>,
}

/// The folder with the runs of the pipeline, and the folder of the result.
pub struct Writing<'w> {
    pub output: &'w OutFolder,
    /// Folder of the pipeline's runs.
    pub received: &'w Path,
    /// Path at which the result appears.
    pub out: &'w Path,
    /// The run id of telemetry that states no run id.
    pub run_id: &'w str,
    /// Name of the first file that was read.
    pub first: &'w str,
    pub stop: &'static AtomicBool,
}

impl Writing<'_> {
    /// Writes the runs to the folder that becomes `out`: a single run as `out` itself, several runs as folders in it. The traces
    /// of call graphs belong to the run `self.run_id`. Their counts are added to `tally`, whose formats and assumptions are
    /// written to all runs as their origin.
    pub fn runs(
        &self,
        mut traces: Option<Traces>,
        tally: &mut Tally,
        on_progress: &mut (dyn FnMut(Progress) + Send),
    ) -> anyhow::Result<Vec<RunSummary>> {
        let received = names_in(self.received)?;
        let mut names = received.clone();
        if traces.is_some() {
            names.insert(self.run_id.to_owned());
        }
        let is_single = names.len() == 1;
        let mut runs = Vec::new();
        for name in names {
            let input = received.contains(&name).then(|| self.received.join(&name));
            let own = traces.take_if(|_| name == self.run_id);
            let (folder, target) = match is_single {
                true => (self.out.to_owned(), self.output.run()),
                false => (self.out.join(&name), self.output.run().join(&name)),
            };
            let merged = self.merge(&target, input.as_slice(), own, tally, on_progress)?;
            // The rows are in the result now, so the temporary space is free for the next run.
            if let Some(input) = &input {
                fs::remove_dir_all(input).with_context(|| format!("cannot remove {}", input.display()))?;
            }
            let run = RunSummary {
                run_id: merged.run_id,
                folder,
                rows: merged.rows,
                orphans: merged.orphans,
                resolved: merged.resolved,
                duplicates: merged.duplicates,
                rejected: BTreeMap::new(),
            };
            runs.push((run, target));
        }
        let origin = Origin::new(tally, self.first);
        for (run, target) in &mut runs {
            run.rejected = origin.write(target)?;
        }
        Ok(runs.into_iter().map(|(run, _)| run).collect())
    }

    fn merge(
        &self,
        target: &Path,
        inputs: &[PathBuf],
        traces: Option<Traces>,
        tally: &mut Tally,
        on_progress: &mut (dyn FnMut(Progress) + Send),
    ) -> anyhow::Result<cctf_merge::Summary> {
        let mut options = cctf_merge::Options {
            stop: Some(self.stop),
            ..cctf_merge::Options::default()
        };
        let mut on_progress = |progress: cctf_merge::Progress| {
            on_progress(Progress {
                phase: progress.phase,
                done: progress.done,
                total: progress.total,
            });
        };
        let Some(mut traces) = traces else {
            return merge(target, inputs, &options, &mut on_progress);
        };
        options.run_id = Some(self.run_id.to_owned());
        options.limits.names_bytes = NAMES_BYTES_MAX;
        let merged = merge_traces(target, inputs, &mut traces, &options, &mut on_progress)?;
        traces.add_to(tally);
        Ok(merged)
    }
}

/// The names of the runs, which are the names of their folders.
fn names_in(received: &Path) -> anyhow::Result<BTreeSet<String>> {
    let cannot = || format!("cannot read {}", received.display());
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(received).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name();
        names.extend(
            name.to_str()
                .filter(|&name| name != LATEST_LINK)
                .map(str::to_owned),
        );
    }
    Ok(names)
}

/// Where a converted run comes from.
struct Origin {
    formats: Vec<Format>,
    files: String,
    assumptions: BTreeMap<String, u64>,
}

impl Origin {
    /// `first` is the first file that was read.
    fn new(tally: &Tally, first: &str) -> Self {
        let name = Path::new(first).file_name().and_then(|name| name.to_str());
        let others = tally.files.saturating_sub(1);
        let files = match others {
            0 => name.unwrap_or(first).to_owned(),
            _ => format!("{} and {others} more", name.unwrap_or(first)),
        };
        Self {
            formats: tally.records.keys().copied().collect(),
            files,
            assumptions: tally
                .assumed
                .iter()
                .map(|(name, assumed)| ((*name).to_owned(), assumed.count))
                .collect(),
        }
    }

    /// Adds the facts to `run_meta.json` of a run. Returns the numbers of spans and points that the run rejected, by reason.
    fn write(&self, run: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
        let path = run.join(CCTF).join(File::RunMeta.name());
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut meta: RunMeta<'_> =
            serde_json::from_slice(&bytes).with_context(|| format!("cannot read {}", path.display()))?;
        let formats: Vec<&str> = self.formats.iter().map(|format| format.name()).collect();
        let formats = formats.join(",");
        let resolution_ns = self.formats.iter().map(|format| format.resolution_ns()).max();
        meta.converted_from = Some(Text::from(formats.as_str()));
        meta.converted_files = Some(Text::from(cctf_proto::cctf::bounded(&self.files)));
        meta.converted_resolution_ms = resolution_ns.map(Milliseconds::from_ns);
        meta.converted_assumptions =
            Some(Counters(self.assumptions.clone())).filter(|assumed| !assumed.0.is_empty());
        let mut encoded = Vec::new();
        meta.encode(&mut encoded);
        encoded.push(b'\n');
        write_whole(&path, &encoded)?;
        Ok(meta.counts.rejected.0)
    }
}
