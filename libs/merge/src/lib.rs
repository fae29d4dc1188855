//! Merging: any number of run folders into one, as if one normalizer had seen everything; in constant memory.
//!
//! ```text
//! folders ─▶ inventories united ─▶ directory of names
//!         ─▶ samples, placement ─────────────────────────────────────▶ sorted ─┐
//!         ─▶ records ─▶ spool (by trace) ─▶ copies dropped ─▶ resolved ─▶ sorted │
//!         │                                   │                           ▼    ├─▶ hidden folder ─▶ rename
//!         └─────────────── lines, once more ──┼────────────────────▶ rewritten ┤
//!                                             └─▶ learned: links, modules, clocks ─┘
//! ```
//!
//! Everything but `inputs`, `fetch`, `spool`, `sorter` and `sorted_runs` is pure. `docs/merge.md` has the rules.

pub mod align;
pub mod callees;
pub mod clocks;
pub mod directory;
pub mod fetch;
pub mod gaps;
pub mod inputs;
pub mod inventories;
pub mod learned;
pub mod lifetimes;
pub mod lives;
pub mod meta;
pub mod placement;
pub mod progress;
pub mod records;
pub mod rewrite;
pub mod rows;
pub mod samples;
pub mod session;
pub mod sorted_runs;
pub mod sorter;
pub mod spans;
pub mod spool;
pub mod trace;
pub mod union;
pub mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cctf_proto::cctf::File;
use serde::Serialize;

use inputs::Input;
pub use progress::Progress;
use rundir::UsageError;
use rundir::output::OutFolder;
use session::{Session, Source};
use union::Conflict;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The run that the result is of; needed where the folders are of different ones.
    pub run_id: Option<String>,
    /// Whether stamps are written as the reference node's clock would have had them.
    pub align_clocks: bool,
    /// What is held in memory.
    pub limits: Limits,
}

/// What a merge holds, in bytes. Together with the buffers of partitions, runs and files it stays under 128 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records of a partition of traces, which are looked at together. Half as many are aimed at, since few stay in the
    /// processor's cache, and up to twice as many are taken: traces differ, and partitions are not without number.
    pub partition_bytes: u64,
    /// What was found of invocations, and as much of calls, that is sorted at once.
    pub spans_bytes: usize,
    /// Lines of the folders that are held while they are copied in the order of time.
    pub lines_bytes: usize,
    /// Lines of any other file that are sorted at once.
    pub samples_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            partition_bytes: 4 << 20,
            spans_bytes: 14 << 20,
            lines_bytes: 16 << 20,
            samples_bytes: 8 << 20,
        }
    }
}

/// What is counted on the way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Rows that another folder had, too.
    pub duplicates: u64,
    /// Rows whose caller is in none of the folders.
    pub orphans: u64,
    /// Rows flagged late.
    pub late: u64,
    /// Rows that were orphans in their folder and are none any more.
    pub resolved: u64,
    /// Half lines at the ends of files.
    pub torn: u64,
    /// Lines read by file.
    pub read: [u64; File::ALL.len()],
    /// Lines written by file.
    pub written: [u64; File::ALL.len()],
    /// Bytes read of these.
    pub bytes: u64,
}

/// A node's clock, as it is told.
#[derive(Debug, Clone, Serialize)]
pub struct ClockOffset {
    /// It minus the reference's, ms.
    pub offset_ms: f64,
    /// Bound of the error, ms.
    pub error_ms: f64,
}

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The folder.
    pub out: PathBuf,
    /// The run.
    pub run_id: String,
    /// Folders merged.
    pub folders: u64,
    /// Of these, how many have not ended.
    pub open: u64,
    /// Bytes of lines read.
    pub bytes_read: u64,
    /// Lines read, by file.
    pub rows_read: BTreeMap<&'static str, u64>,
    /// Lines written, by file.
    pub rows: BTreeMap<&'static str, u64>,
    /// Spans and points that came more than once.
    pub duplicates: u64,
    /// Orphans that have found what is above them.
    pub resolved: u64,
    /// Rows that are orphans still.
    pub orphans: u64,
    /// Half lines that were left out.
    pub torn: u64,
    /// Clocks of nodes against the reference's.
    pub clocks: BTreeMap<String, ClockOffset>,
    /// Whether the stamps are aligned.
    pub aligned: bool,
    /// What the folders contradict each other in.
    pub conflicts: u64,
    /// The first of these.
    pub conflicts_shown: Vec<Conflict>,
}

/// Merges the folders `inputs` into one that appears at `out`.
///
/// # Errors
/// A [`UsageError`] if what is asked for is impossible; else what could not be read or written. Nothing is at `out` then.
pub fn merge(
    out: &Path,
    inputs: &[PathBuf],
    options: &Options,
    on_progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Summary> {
    let mut opened = Vec::new();
    for input in inputs {
        opened.push(Input::open(input)?);
    }
    check_distinct(&opened)?;
    let folder = OutFolder::create(out)?;
    let source = Source {
        inputs: &opened,
        run_id: options.run_id.as_deref(),
        clocks: None,
        limits: options.limits,
    };
    let done = if options.align_clocks {
        align::merge_aligned(&folder, &source, on_progress)?
    } else {
        Session::new(&folder, folder.run())?.run(&source, on_progress)?.0
    };
    let summary = Summary {
        out: out.to_owned(),
        folders: inputs.len() as u64,
        ..done
    };
    folder.finish()?;
    Ok(summary)
}

/// A folder merged with itself would be counted twice.
fn check_distinct(inputs: &[Input]) -> anyhow::Result<()> {
    for (at, input) in inputs.iter().enumerate() {
        if let Some(same) = inputs[..at]
            .iter()
            .find(|other| other.folder().cctf() == input.folder().cctf())
        {
            return Err(UsageError(format!(
                "{} and {} are the same folder",
                same.path.display(),
                input.path.display()
            ))
            .into());
        }
    }
    Ok(())
}
