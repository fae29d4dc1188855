//! Merges run folders into one, as if a single normalizer had received all the data. Memory use is bounded.
//!
//! ```text
//! folders ─▶ inventories united ─▶ registry of names
//!         ─▶ samples, placement events ────────────────────────────────────▶ sorted ─┐
//!         ─▶ records ─▶ partitions by trace ─▶ deduplicated ─▶ resolved ─▶ sorted    │
//!         │                                                    │           ▼         ├─▶ hidden folder ─▶ rename
//!         └─ lines, a second time ─────────────────────────────┼─────────▶ rewritten ┤
//!                                                              └─▶ statistics: links, modules, clocks ┘
//! ```
//!
//! Folders of modules. Each imports only those that precede it in this list:
//!
//! - [`rows`]: a line of `invocations.jsonl` or `calls.jsonl` as a row, and as a short record.
//! - [`requests`]: reads the invocations and calls of the folders, and writes the invocations and calls of the result.
//! - [`buckets`]: the files through which the merge of one bucket of traces passes its state to the rest of the merge.
//! - [`inventories`]: the `.json` files.
//! - [`events`]: the rows of `placement_events.jsonl`.
//!
//! [`made`] has traces that are in no folder. They join the others when these are resolved.
//!
//! `docs/merge.md` has the rules.

pub mod align;
pub mod bucket;
pub mod buckets;
pub mod distributed;
pub mod driver_events;
pub mod endpoint_cpu;
pub mod events;
pub mod ids;
pub mod inputs;
pub mod inventories;
pub mod made;
pub mod model;
pub mod progress;
pub mod reader;
pub mod registry;
pub mod requests;
pub mod rows;
pub mod samples;
pub mod session;
pub mod shift;
pub mod values;

use std::path::{Path, PathBuf};

use rundir::output::OutFolder;

pub use bucket::Bucket;
pub use distributed::{BucketSummary, merge_bucket, merge_rests};
use inputs::open_all;
use made::TraceSource;
use model::Source;
pub use model::{ClockOffset, Conflict, Limits, Options, Summary};
pub use progress::Progress;
use session::Session;

/// Merges the folders `inputs` into one that appears at `out`.
///
/// # Errors
/// A [`UsageError`](rundir::UsageError) if the request is impossible; otherwise an I/O error, or the interrupt. After an error, `out` does not exist.
pub fn merge(
    out: &Path,
    inputs: &[PathBuf],
    options: &Options,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> anyhow::Result<Summary> {
    merge_with(out, inputs, None, options, on_progress)
}

/// Merges traces that do not come from a folder, and any number of folders (also none). Timestamps are not aligned.
///
/// # Errors
/// As [`merge`], or if the traces cannot be made.
pub fn merge_traces(
    out: &Path,
    inputs: &[PathBuf],
    traces: &mut dyn TraceSource,
    options: &Options,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> anyhow::Result<Summary> {
    merge_with(out, inputs, Some(traces), options, on_progress)
}

fn merge_with(
    out: &Path,
    inputs: &[PathBuf],
    traces: Option<&mut dyn TraceSource>,
    options: &Options,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> anyhow::Result<Summary> {
    let opened = open_all(inputs)?;
    let folder = OutFolder::create(out)?;
    let source = Source {
        inputs: &opened,
        run_id: options.run_id.as_deref(),
        clocks: None,
        bucket: None,
        limits: options.limits,
        stop: options.stop,
    };
    let summary = if let Some(traces) = traces {
        let session = Session::new(&folder, folder.run())?.with_traces(traces, &source);
        session.run(&source, on_progress)?.0
    } else if options.align_clocks {
        align::merge_aligned(&folder, &source, on_progress)?
    } else {
        Session::new(&folder, folder.run())?.run(&source, on_progress)?.0
    };
    let lacking = endpoint_cpu::add_cpu_times(&folder.run(), on_progress)?;
    let summary = Summary {
        out: out.to_owned(),
        folders: inputs.len() as u64,
        cpu_notes: lacking.notes,
        cpu_damaged: lacking.damaged,
        ..summary
    };
    folder.finish()?;
    Ok(summary)
}
