//! From the pipeline's folders to the result: each run is merged with itself, which connects rows however far apart they came, and
//! gets the facts about its origin.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::Context;
use cctf_merge::merge;
use cctf_proto::cctf::{Counters, File, Milliseconds, Row, RunMeta, Text};
use cctf_proto::keys::LATEST_LINK;
use rundir::CCTF;
use rundir::output::{OutFolder, write_whole};
use serde::Serialize;

use crate::job::Progress;
use crate::tally::{Format, Tally};

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

/// Writes the runs in `received` to the folder that becomes `out`: a single run as `out` itself, several as folders in it.
pub fn write_runs(
    output: &OutFolder,
    received: &Path,
    out: &Path,
    origin: &Origin,
    stop: &'static AtomicBool,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> anyhow::Result<Vec<RunSummary>> {
    let names = names_in(received)?;
    let is_single = names.len() == 1;
    let mut runs = Vec::new();
    for name in names {
        let (target, folder) = match is_single {
            true => (output.run(), out.to_owned()),
            false => (output.run().join(&name), out.join(&name)),
        };
        let from = received.join(&name);
        let options = cctf_merge::Options {
            stop: Some(stop),
            ..cctf_merge::Options::default()
        };
        let merged = merge(&target, std::slice::from_ref(&from), &options, &mut |progress| {
            on_progress(Progress {
                phase: progress.phase,
                done: progress.done,
                total: progress.total,
            });
        })?;
        // The rows are in the result now, so the temporary space is free for the next run.
        fs::remove_dir_all(&from).with_context(|| format!("cannot remove {}", from.display()))?;
        let rejected = origin.write(&target)?;
        runs.push(RunSummary {
            run_id: merged.run_id,
            folder,
            rows: merged.rows,
            orphans: merged.orphans,
            resolved: merged.resolved,
            duplicates: merged.duplicates,
            rejected,
        });
    }
    Ok(runs)
}

/// The names of the runs, which are the names of their folders.
fn names_in(received: &Path) -> anyhow::Result<Vec<String>> {
    let cannot = || format!("cannot read {}", received.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(received).with_context(cannot)? {
        let name = entry.with_context(cannot)?.file_name();
        names.extend(
            name.to_str()
                .filter(|&name| name != LATEST_LINK)
                .map(str::to_owned),
        );
    }
    names.sort();
    Ok(names)
}

/// Where a converted run comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    formats: Vec<Format>,
    files: String,
    assumptions: BTreeMap<String, u64>,
}

impl Origin {
    /// `first` is the first file that was read.
    pub fn new(tally: &Tally, first: &str) -> Self {
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

    /// Adds the facts to `run_meta.json` of a run. Returns what the run rejected, by reason.
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
