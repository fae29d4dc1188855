//! Reads the module inventory of a run: [`read`] finds the last valid `module_inventory.json` of its parts; [`servers`] and
//! [`reported_slots`] extract facts from it; [`last_valid`] finds the last valid version of any `.json` file.

use std::collections::BTreeSet;

use cctf_proto::cctf::{File, Instance, Module, Part, SlotSource, WHOLE_BYTES_MAX};
use rundir::parts::Run;
use rundir::{ReadError, RunFolder};

/// Passes the modules to `take`, and returns its result. `None` if no part has a valid inventory.
///
/// # Errors
/// If a file cannot be read.
pub fn read<T>(
    run: &Run,
    parts: &[Part],
    take: impl FnOnce(&[Module<'_>]) -> T,
) -> Result<Option<T>, ReadError> {
    let mut take = Some(take);
    last_valid(run, parts, File::ModuleInventory, |bytes| {
        let modules = serde_json::from_slice::<Vec<Module<'_>>>(bytes).ok()?;
        take.take().map(|take| take(&modules))
    })
}

/// Returns the result of `parse` for the `.json` file of the last part for which there is a result. The file of a part includes
/// everything from earlier parts, so the last one is the most complete. A damaged or too large file is skipped.
///
/// # Errors
/// If a file cannot be read.
pub fn last_valid<T>(
    run: &Run,
    parts: &[Part],
    file: File,
    mut parse: impl FnMut(&[u8]) -> Option<T>,
) -> Result<Option<T>, ReadError> {
    for part in parts.iter().rev() {
        let folder = RunFolder::open(&run.folder(part))?;
        let bytes = match folder.whole(file, WHOLE_BYTES_MAX) {
            Ok(bytes) => bytes.unwrap_or_default(),
            // No reader accepts a file of this size.
            Err(ReadError::TooLarge { .. }) => continue,
            Err(error) => return Err(error),
        };
        if let Some(parsed) = parse(&bytes) {
            return Ok(Some(parsed));
        }
    }
    Ok(None)
}

/// Names of the modules that processed at least one request, message or job.
pub fn servers(modules: &[Module<'_>]) -> BTreeSet<String> {
    let servers = modules.iter().filter(|module| module.endpoints.is_some());
    servers.map(|module| module.module_id.to_string()).collect()
}

/// The number of slots, if the instance reported it. An inferred number is the highest observed concurrency, which differs from
/// run to run.
pub fn reported_slots(instance: &Instance<'_>) -> Option<u64> {
    let is_inferred = instance.slots_src == Some(SlotSource::Inferred);
    instance.workers.filter(|_| !is_inferred)
}
