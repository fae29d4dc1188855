//! [`add_cpu_times`]: estimates the CPU times of endpoints whose rows report none, by a regression over the merged files.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::path::Path;
use std::thread;

use analyze::endpoint_cpu::{Options, endpoint_cpu, has_samples, with_cpu_times};
use anyhow::Context;
use cctf_proto::cctf::{File, MeasureSource, Module, Part, WHOLE_BYTES_MAX};
use rundir::RunFolder;
use rundir::output::write_whole;
use rundir::parts::Run;

use crate::progress::Progress;

/// Maximum number of processes. Each takes 1.5 MB, so all take less memory than the rest of the merge.
const PROCESSES_MAX: usize = 32;

/// Data that the estimates of CPU times lack.
#[derive(Debug, Default)]
pub struct Lacking {
    /// Notes for the reader.
    pub notes: Vec<String>,
    /// Number of damaged lines.
    pub damaged: u64,
}

/// Whether [`add_cpu_times`] reads the invocations of the merged run in `folder`.
pub fn needs_invocations(folder: &Path) -> anyhow::Result<bool> {
    let Some(inventory) = RunFolder::open(folder)?.whole(File::ModuleInventory, WHOLE_BYTES_MAX)? else {
        return Ok(false);
    };
    let measured = measured_modules(&inventory)?;
    let (run, part) = run_in(folder);
    let lacks_cpu = |id: &str| !measured.contains(id);
    Ok(has_samples(&run, &part, &options(&lacks_cpu))?)
}

/// Adds the estimates to the inventory of the merged run in `folder`. It reads the invocations a second time, but only if a
/// module without measured CPU times has samples of its processes.
pub fn add_cpu_times(
    folder: &Path,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> anyhow::Result<Lacking> {
    let opened = RunFolder::open(folder)?;
    let Some(inventory) = opened.whole(File::ModuleInventory, WHOLE_BYTES_MAX)? else {
        return Ok(Lacking::default());
    };
    let measured = measured_modules(&inventory)?;
    let lacks_cpu = |id: &str| !measured.contains(id);
    let (run, part) = run_in(folder);
    let found = endpoint_cpu(&run, &part, &options(&lacks_cpu), &mut |progress| {
        on_progress(Progress {
            phase: "CPU",
            done: progress.done,
            total: progress.total,
        });
    })?;
    let estimated = with_cpu_times(&inventory, &found.modules)?;
    if *estimated.inventory != inventory {
        write_whole(&opened.path(File::ModuleInventory), &estimated.inventory)?;
    }
    Ok(Lacking {
        notes: found.notes,
        damaged: found.damaged,
    })
}

/// Names of the modules with measured CPU times.
fn measured_modules(inventory: &[u8]) -> anyhow::Result<BTreeSet<String>> {
    let modules: Vec<Module<'_>> =
        serde_json::from_slice(inventory).context("cannot read the merged module_inventory.json")?;
    let measured = modules
        .iter()
        .filter(|module| module.cpu_src == Some(MeasureSource::Measured));
    Ok(measured.map(|module| module.module_id.to_string()).collect())
}

fn run_in(folder: &Path) -> (Run, Part) {
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    (
        Run::new(folder.parent().unwrap_or(folder), name),
        Part::first(name),
    )
}

fn options<'w>(is_wanted: &'w dyn Fn(&str) -> bool) -> Options<'w> {
    Options {
        threads: thread::available_parallelism().map_or(1, NonZero::get),
        processes_max: PROCESSES_MAX,
        is_wanted,
    }
}
