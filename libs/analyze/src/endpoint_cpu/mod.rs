//! [`endpoint_cpu`]: estimates the CPU time of each endpoint by regression, for modules whose rows do not report CPU times.
//!
//! - [`samples`]: samples of `process.cpu.time` of each process; [`rows`]: the requests of each process.
//! - [`figures`]: the result; [`combine`]: combines the processes of a module.
//! - [`inventory`]: writes the result to `module_inventory.json`.

mod combine;
mod figures;
mod inventory;
mod rows;
mod samples;

use cctf_proto::cctf::{File, Part};
use rundir::chunks::ChunkedFile;
use rundir::parts::{Run, State};
use rundir::{Lines, ReadError};

use crate::stats::Progress;
use crate::stats::ordered::in_order;
pub use figures::{CpuOfEndpoint, ModuleCpu, NoCpuTime};
pub use inventory::{Estimated, InvalidInventory, with_cpu_times};
use rows::{Chunk, Requests};
use samples::Processes;

/// Maximum number of processes of a run. Their data takes at most 384 MB.
const PROCESSES_MAX: usize = 256;

/// The CPU times of a run.
#[derive(Debug)]
pub struct EndpointCpu {
    /// Modules with samples of `process.cpu.time` and without `cpu_time_ms`, by id.
    pub modules: Vec<ModuleCpu>,
    /// Number of lines that were left out because they are damaged.
    pub damaged: u64,
    /// Sentences about missing data.
    pub notes: Vec<String>,
}

/// What to compute, within which bounds.
pub struct Options<'a> {
    /// Number of threads. The result does not depend on it.
    pub threads: usize,
    /// Maximum number of processes, of at most 1.5 MB each. Samples of further processes are ignored, with a note.
    pub processes_max: usize,
    /// Selects the modules to compute.
    pub is_wanted: &'a dyn Fn(&str) -> bool,
}

impl Options<'_> {
    /// All modules of a run.
    pub fn all(threads: usize) -> Self {
        Self {
            threads,
            processes_max: PROCESSES_MAX,
            is_wanted: &|_| true,
        }
    }
}

/// Reads a run from the part `first` on. Invocations are read only if samples of a wanted module exist.
///
/// # Errors
/// If a file cannot be read.
pub fn endpoint_cpu(
    run: &Run,
    first: &Part,
    options: &Options<'_>,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<EndpointCpu, ReadError> {
    let parts = run.parts_from(first)?;
    let (processes, mut damaged) = read_samples(run, &parts, options)?;
    let notes = run.missing(first)?.into_iter().chain(processes.note()).collect();
    let mut requests = Requests::new(processes.finish());
    let mut files = Vec::new();
    for part in parts.iter().filter(|_| !requests.processes.is_empty()) {
        if let Some(file) = ChunkedFile::open(run.path(part, File::Invocations))? {
            files.push((file, run.state(part)? == State::Open));
        }
    }
    let mut progress = Progress {
        done: 0,
        total: files.iter().map(|(file, _)| file.size()).sum(),
    };
    for (file, is_open) in &files {
        let work = |piece: usize, buffer: &mut Vec<u8>| {
            let lines = file.read(piece as u64, buffer)?;
            Ok::<_, ReadError>((Chunk::read(lines, *is_open), file.bytes_of(piece as u64)))
        };
        in_order(file.chunks() as usize, options.threads, work, |(chunk, bytes)| {
            damaged += chunk.damaged;
            requests.absorb(&chunk);
            progress.done += bytes;
            on_progress(progress);
        })?;
    }
    Ok(EndpointCpu {
        modules: combine::modules(requests),
        damaged,
        notes,
    })
}

/// Whether a run has samples of a wanted module, so that [`endpoint_cpu`] reads its invocations.
///
/// # Errors
/// If a file cannot be read.
pub fn has_samples(run: &Run, first: &Part, options: &Options<'_>) -> Result<bool, ReadError> {
    let (processes, _) = read_samples(run, &run.parts_from(first)?, options)?;
    Ok(!Requests::new(processes.finish()).processes.is_empty())
}

/// The samples of all processes, and the number of damaged lines.
fn read_samples(run: &Run, parts: &[Part], options: &Options<'_>) -> Result<(Processes, u64), ReadError> {
    let mut processes = Processes::new(options.processes_max);
    let mut damaged = 0;
    for part in parts {
        if let Some(lines) = Lines::open(run.path(part, File::SystemStats))? {
            damaged += processes.read(lines, options.is_wanted)?;
        }
    }
    Ok((processes, damaged))
}
