//! [`gather`]: reads a run and computes everything that its report shows.
//!
//! - [`rows`]: three passes over invocations and calls; [`validation`]: the rules of the contract, checked by another thread.
//! - [`meta`], [`events`], [`hosts`], [`networks`]: the small files. Each adds sentences about what is missing to the notes.
//! - [`cpu`]: estimated CPU times in the inventory.
//! - [`lines`]: rows of a small file.

mod cpu;
mod events;
mod hosts;
mod lines;
mod meta;
mod networks;
mod rows;
mod validation;

use std::path::PathBuf;
use std::thread;

use analyze::stats::opened::Opened;
pub use analyze::stats::{Progress, StatsError};
use cctf_proto::cctf::Part;
use rundir::ReadError;
use rundir::parts::Run;

use crate::model::RunData;

/// Options for reading a run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Number of threads. It does not change the result.
    pub threads: usize,
    /// Whether to validate the run even if it is larger than [`VALIDATED_BYTES_MAX`].
    pub validates_large_runs: bool,
}

pub use validation::VALIDATED_BYTES_MAX;

/// The reason why a run has no report.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("cannot make a report of {}: it has no invocations.jsonl; restore the file or choose another run", .0.display())]
    NoInvocations(PathBuf),
}

impl From<StatsError> for GatherError {
    fn from(error: StatsError) -> Self {
        match error {
            StatsError::Read(error) => Self::Read(error),
            StatsError::NoInvocations(folder) => Self::NoInvocations(folder),
        }
    }
}

/// Reads a run from the part `first` on. If data is missing, the notes say so.
///
/// # Errors
/// If a file cannot be read, or there are no invocations.
pub fn gather(
    run: &Run,
    first: &Part,
    options: &Options,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<RunData, GatherError> {
    let opened = Opened::new(run, first, true)?;
    let mut progress = Progress {
        done: 0,
        total: rows::PASSES * opened.bytes(),
    };
    thread::scope(|scope| {
        let validation = scope.spawn(|| validation::validation(&opened, options.validates_large_runs));
        let mut of_meta = Vec::new();
        let meta = meta::read(&opened, &mut of_meta)?;
        let (stats, rows) = rows::read(&opened, options.threads, &mut |bytes| {
            progress.done += bytes;
            on_progress(progress);
        })?;
        // A panic of the other thread continues here.
        let validation = validation
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let mut notes = rows.notes;
        notes.extend(of_meta);
        let events = events::read(&opened, &mut notes)?;
        let hosts = hosts::read(&opened, &rows.timeline, &mut notes)?;
        networks::check(&opened, &mut notes)?;
        Ok(RunData {
            stats,
            meta,
            validation,
            timeline: rows.timeline,
            edges: rows.edges,
            hosts,
            events,
            traces: rows.traces,
            cpu_estimates: cpu::read(&opened)?,
            notes,
        })
    })
}
