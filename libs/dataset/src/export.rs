//! [`export`]: writes runs into a new data set, or adds them to an existing one.

use std::fs;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cctf_proto::cctf::File;
use rundir::UsageError;
use rundir::output::{OutFolder, replace_whole, write_whole};
use serde::Serialize;

use crate::damages::Damages;
use crate::index::{BUCKETS_MAX, INDEX, Index, RunInfo};
use crate::runs::{Input, check_ids};
use crate::tables::{RunTables, run_folder};
use crate::views;
pub use crate::writer::GroupSize;

/// Bytes of lines that the sort holds in memory. Further lines are written to a temporary file in sorted chunks.
const HELD_BYTES: usize = 64 << 20;
/// Size of a bucket's JSON if the user does not choose the number of buckets, bytes. It gives one row group, or a few.
const BUCKET_BYTES: u64 = 512 << 20;
/// Bytes between two reports of the progress. There are some hundred reports a second.
const STEP_BYTES: u64 = 1 << 20;
/// Name of the folder for runs that are being added to an existing data set. It is hidden, and no data set has this name.
const NEW_RUNS: &str = "new-runs";

/// Options of an export.
#[derive(Debug, Clone)]
pub struct Options {
    /// Whether to add the runs to an existing data set.
    pub append: bool,
    /// Number of buckets, a power of two. `None`: it depends on the size of the runs, or is that of the existing data set.
    pub buckets: Option<NonZero<u16>>,
    pub held_bytes: usize,
    pub group_size: GroupSize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            append: false,
            buckets: None,
            held_bytes: HELD_BYTES,
            group_size: GroupSize::default(),
        }
    }
}

/// The result of an export.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub out: PathBuf,
    pub buckets: NonZero<u16>,
    /// The runs that were added.
    pub runs: Vec<RunInfo>,
    /// Number of runs in the data set after the export.
    pub runs_in_all: u64,
    /// Size of the files that were read.
    pub bytes_read: u64,
    pub notes: Vec<String>,
    #[serde(skip)]
    pub damages: Damages,
}

/// Exports runs. `progress` is called with the bytes processed and their total, and returns false to stop. After an error, no
/// new data set exists, and an existing one is unchanged.
///
/// # Errors
/// A [`UsageError`] if a run cannot be exported, if the data set exists and `append` is not set, or if `append` is set and no
/// data set exists. Otherwise an I/O error.
pub fn export(
    out: &Path,
    inputs: &[Input],
    options: &Options,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> anyhow::Result<Summary> {
    if let Some(buckets) = options.buckets
        && (!buckets.is_power_of_two() || buckets.get() > BUCKETS_MAX)
    {
        let text =
            format!("invalid number of buckets {buckets}: choose a power of two from 1 to {BUCKETS_MAX}");
        return Err(UsageError(text).into());
    }
    match options.append {
        true => append(out, inputs, options, progress),
        false => create(out, inputs, options, progress),
    }
}

fn create(
    out: &Path,
    inputs: &[Input],
    options: &Options,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> anyhow::Result<Summary> {
    check_ids(inputs, std::iter::empty(), out)?;
    if out.join(INDEX).is_file() {
        return Err(UsageError(format!(
            "cannot create {}: it is a data set already; add the runs to it with --append, or choose another path",
            out.display()
        ))
        .into());
    }
    let folder = OutFolder::create(out)?;
    let mut index = Index::new(options.buckets.unwrap_or_else(|| buckets_for(inputs)));
    let run = folder.run();
    fs::create_dir(&run).with_context(|| format!("cannot create {}", run.display()))?;
    let summary = write_runs(&folder, out, inputs, &mut index, options, progress)?;
    for (name, text) in [
        (views::DUCKDB_FILE, views::duckdb().into_bytes()),
        (views::SPARK_FILE, views::spark().into_bytes()),
        (INDEX, index.to_json()?),
    ] {
        write_whole(&run.join(name), &text)?;
    }
    folder.finish_folder()?;
    Ok(summary)
}

fn append(
    out: &Path,
    inputs: &[Input],
    options: &Options,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> anyhow::Result<Summary> {
    // This check precedes any change to a folder that is not a data set.
    Index::read(out)?;
    let folder = OutFolder::create(&out.join(NEW_RUNS))?;
    // The folder is also a lock: from here on, no other process adds runs.
    let mut index = Index::read(out)?;
    if let Some(buckets) = options.buckets
        && buckets != index.buckets
    {
        let cause = format!("it has {} buckets; leave out --buckets", index.buckets);
        return Err(UsageError(format!("cannot add runs to {}: {cause}", out.display())).into());
    }
    check_ids(inputs, index.runs.iter().map(|run| &*run.run_id), out)?;
    let summary = write_runs(&folder, out, inputs, &mut index, options, progress)?;
    let mut moved = Vec::new();
    let added = move_runs(&folder.run(), out, &summary.runs, &mut moved)
        .and_then(|()| replace_whole(&out.join(INDEX), &index.to_json()?));
    if let Err(error) = added {
        // A run that is not in the index does not belong to the data set, but readers of the folders would find it. So its
        // folders are removed.
        for folder in moved {
            let _ = fs::remove_dir_all(folder);
        }
        return Err(error);
    }
    Ok(summary)
}

/// Moves the folders of all runs into the folders of the tables. Their new paths are added to `moved`.
fn move_runs(from: &Path, out: &Path, runs: &[RunInfo], moved: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for file in File::ALL {
        let table = file.stem();
        let parent = out.join(table);
        fs::create_dir_all(&parent).with_context(|| format!("cannot create {}", parent.display()))?;
        for run in runs {
            let target = run_folder(out, table, &run.run_id);
            // A process that was killed here left this folder: the index has no such run.
            if target.exists() {
                fs::remove_dir_all(&target).with_context(|| format!("cannot remove {}", target.display()))?;
            }
            fs::rename(run_folder(from, table, &run.run_id), &target)
                .with_context(|| format!("cannot create {}", target.display()))?;
            moved.push(target);
        }
        fs::File::open(&parent)
            .and_then(|folder| folder.sync_all())
            .with_context(|| format!("cannot sync {}", parent.display()))?;
    }
    Ok(())
}

/// Writes all runs into the temporary folder, and adds them to the index.
fn write_runs(
    folder: &OutFolder,
    out: &Path,
    inputs: &[Input],
    index: &mut Index,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> anyhow::Result<Summary> {
    let bytes_read = inputs.iter().map(Input::bytes).sum();
    // Each line counts twice: when it is read, and when it is written after the sort.
    let total = 2 * bytes_read;
    let (mut done, mut damages) = (0, Damages::default());
    let mut on_bytes = |bytes: u64| {
        let before = done / STEP_BYTES;
        done += bytes;
        match done / STEP_BYTES == before || progress(done, total) {
            true => Ok(()),
            false => Err(anyhow::anyhow!("interrupted")),
        }
    };
    let mut tables = RunTables {
        out: &folder.run(),
        scratch: folder.scratch(),
        buckets: index.buckets,
        held_bytes: options.held_bytes,
        group_size: options.group_size,
        damages: &mut damages,
        on_bytes: &mut on_bytes,
    };
    let runs: Vec<RunInfo> = inputs
        .iter()
        .map(|input| tables.write(input))
        .collect::<Result<_, _>>()?;
    index.runs.extend(runs.iter().cloned());
    Ok(Summary {
        out: out.to_owned(),
        buckets: index.buckets,
        runs,
        runs_in_all: index.runs.len() as u64,
        bytes_read,
        notes: inputs.iter().flat_map(|input| input.notes.clone()).collect(),
        damages,
    })
}

/// The number of buckets for runs of this size.
fn buckets_for(inputs: &[Input]) -> NonZero<u16> {
    let bytes: u64 = inputs.iter().map(Input::bytes_in_buckets).sum();
    let wanted = bytes.div_ceil(BUCKET_BYTES).clamp(1, u64::from(BUCKETS_MAX));
    let wanted = u16::try_from(wanted.next_power_of_two()).unwrap_or(BUCKETS_MAX);
    NonZero::new(wanted).unwrap_or(NonZero::<u16>::MIN)
}
