//! [`anonymise`]: anonymises all folders of a run. The new folder appears complete, by a rename.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use cctf_proto::cctf::Part;
use cli::UsageError;
use rundir::RunFolder;
use rundir::byte_count::ByteCount;
use rundir::output::{OutFolder, RunLock, lock_run};
use rundir::parts::Run;

use crate::files::{FolderFiles, Progressing};
use crate::key::Key;
use crate::rare::Endpoints;
use crate::replacer::Anonymiser;
use crate::summary::{FileRows, Summary, Unknown};

/// Options of an anonymisation.
#[derive(Debug, Clone, Copy)]
pub struct Options<'o> {
    /// Endpoints with fewer invocations than this are listed in the summary.
    pub rare_below: u64,
    /// Set when the user interrupts.
    pub stop: &'o AtomicBool,
}

/// Bytes that were read so far from `.jsonl` files, and the size of all these files.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

/// A part with a lock, so that no normalizer writes it meanwhile.
struct Locked {
    part: Part,
    folder: RunFolder,
    _lock: RunLock,
}

/// Writes the run's parts from `from` on to `out`, which must not exist. If this is only the first part, `out` becomes the run
/// folder. Otherwise, `out` contains a run folder for each part.
///
/// # Errors
/// A [`UsageError`] if the run is being written, or `out` exists; otherwise an I/O error. Nothing is written then.
pub fn anonymise(
    run: &Run,
    from: &Part,
    key: &Key,
    out: &Path,
    options: Options<'_>,
    on_progress: &mut dyn FnMut(Progress),
) -> anyhow::Result<Summary> {
    let parts = locked_parts(run, from)?;
    let total = parts.iter().map(|part| size(run, part)).sum();
    let output = OutFolder::create(out)?;
    let mut done = 0;
    let mut report = |bytes| {
        done += bytes;
        on_progress(Progress { done, total });
    };
    let mut count = ByteCount::new(&mut report);
    let mut by = Anonymiser::new(key);
    let (mut unknown, mut endpoints) = (Unknown::default(), Endpoints::default());
    let (mut files, mut open): (BTreeMap<String, FileRows>, u64) = (BTreeMap::new(), 0);
    let mut names = Vec::new();
    let new_id = by.run_id(run.id());
    let is_single = parts.len() == 1 && parts[0].part.number() == 1;
    for part in &parts {
        let name = match part.part.number() {
            1 => Part::first(&new_id),
            number => Part::later(&new_id, number),
        };
        let to = match is_single {
            true => output.run(),
            false => output.run().join(name.folder()),
        };
        let mut folder = FolderFiles::new(&part.folder, &to)?;
        folder.write_all(&mut Progressing {
            by: &mut by,
            unknown: &mut unknown,
            endpoints: &mut endpoints,
            on_bytes: &mut |bytes| count.add(bytes),
            stop: options.stop,
        })?;
        open += u64::from(folder.is_open);
        for (file, rows) in folder.rows {
            let sum = files.entry(file).or_default();
            sum.written += rows.written;
            sum.damaged += rows.damaged;
        }
        names.push(name.folder().to_owned());
    }
    let rare_endpoints = endpoints.rare(options.rare_below, &mut by)?;
    let folders: Vec<PathBuf> = match is_single {
        true => vec![out.to_owned()],
        false => names.iter().map(|name| out.join(name)).collect(),
    };
    match is_single {
        true => output.finish()?,
        false => output.finish_parts(&names)?,
    }
    Ok(Summary {
        out: out.to_owned(),
        folders,
        bytes_read: total,
        files,
        replaced: by.replaced().clone(),
        unknown_fields: unknown,
        rare_endpoints,
        open,
    })
}

fn locked_parts(run: &Run, from: &Part) -> anyhow::Result<Vec<Locked>> {
    let mut parts = Vec::new();
    for part in run.parts_from(from)? {
        let path = run.folder(&part);
        let Some(lock) = lock_run(&path)? else {
            let cause = "a normalizer is writing the run; repeat the command when the run has ended";
            return Err(UsageError(format!("cannot anonymise {}: {cause}", path.display())).into());
        };
        parts.push(Locked {
            part,
            folder: RunFolder::open(&path)?,
            _lock: lock,
        });
    }
    Ok(parts)
}

/// Size of the files of lines, bytes.
fn size(run: &Run, part: &Locked) -> u64 {
    let driver = run.folder(&part.part).join(rundir::EVENTS_CLIENT);
    part.folder.size_of_lines() + std::fs::metadata(driver).map_or(0, |data| data.len())
}
