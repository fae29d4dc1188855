//! [`add_cpu_times`]: estimates the CPU times of endpoints whose rows report none, by a regression over the merged files.

use std::num::NonZero;
use std::path::Path;
use std::thread;

use analyze::endpoint_cpu::{Options, endpoint_cpu, with_cpu_times};
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
    let modules: Vec<Module<'_>> =
        serde_json::from_slice(&inventory).context("cannot read the merged module_inventory.json")?;
    let lacks_cpu = |id: &str| {
        let mut named = modules.iter().filter(|module| *module.module_id == *id);
        named.all(|module| module.cpu_src != Some(MeasureSource::Measured))
    };
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let run = Run::new(folder.parent().unwrap_or(folder), name);
    let options = Options {
        threads: thread::available_parallelism().map_or(1, NonZero::get),
        processes_max: PROCESSES_MAX,
        is_wanted: &lacks_cpu,
    };
    let found = endpoint_cpu(&run, &Part::first(name), &options, &mut |progress| {
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
