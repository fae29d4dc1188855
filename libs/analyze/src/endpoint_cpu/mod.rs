//! [`endpoint_cpu`]: CPU time by module and endpoint of a recorded run, by regression, for modules whose rows report none.
//!
//! - [`samples`]: `process.cpu.time` of each process; [`rows`]: the requests of each process.
//! - [`figures`]: the result; [`combine`]: one figure for each endpoint of a module from all of its processes.
//! - [`inventory`]: the result in `module_inventory.json`.

mod combine;
mod figures;
mod inventory;
mod rows;
mod samples;

use cctf_proto::cctf::{File, Part};
use rundir::chunks::ChunkedFile;
use rundir::parts::{Run, State};
use rundir::{Lines, ReadError};

use crate::stats::ordered::in_order;
pub use figures::{CpuOfEndpoint, ModuleCpu, NoCpuTime};
pub use inventory::{InvalidInventory, with_cpu_times};
use rows::{Chunk, Requests};
use samples::Processes;

/// The CPU times of a run.
#[derive(Debug)]
pub struct EndpointCpu {
    /// Modules with samples of `process.cpu.time` and without `cpu_time_ms`, by id.
    pub modules: Vec<ModuleCpu>,
    /// Lines that were left out because they are damaged.
    pub damaged: u64,
    /// What the figures lack.
    pub notes: Vec<String>,
}

/// Reads a run from the part `first` on.
///
/// # Errors
/// If a file cannot be read.
pub fn endpoint_cpu(run: &Run, first: &Part, threads: usize) -> Result<EndpointCpu, ReadError> {
    endpoint_cpu_of(run, first, threads, |_| true)
}

/// The same for modules that `is_wanted` accepts. Invocations are read only if samples of such a module exist.
///
/// # Errors
/// If a file cannot be read.
pub fn endpoint_cpu_of(
    run: &Run,
    first: &Part,
    threads: usize,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<EndpointCpu, ReadError> {
    let parts = run.parts_from(first)?;
    let mut processes = Processes::default();
    let mut damaged = 0;
    for part in &parts {
        if let Some(lines) = Lines::open(run.path(part, File::SystemStats))? {
            damaged += processes.read(lines)?;
        }
    }
    let notes = processes.note().into_iter().collect();
    let mut processes = processes.finish();
    processes.retain(|(module, _, _), _| is_wanted(module));
    let parts = if processes.is_empty() { &[] } else { &*parts };
    let mut requests = Requests::new(processes);
    for part in parts {
        let Some(file) = ChunkedFile::open(run.path(part, File::Invocations))? else {
            continue;
        };
        let is_open = run.state(part)? == State::Open;
        let work = |piece: usize, buffer: &mut Vec<u8>| {
            let lines = file.read(piece as u64, buffer)?;
            Ok::<_, ReadError>(Chunk::read(lines, is_open))
        };
        in_order(file.chunks() as usize, threads, work, |chunk| {
            damaged += chunk.damaged;
            requests.absorb(&chunk);
        })?;
    }
    Ok(EndpointCpu {
        modules: combine::modules(requests),
        damaged,
        notes,
    })
}
