//! [`Base`]: the lengths of a run's files before the journal first wrote to them. It is stored in the run's own folder.
//!
//! A checkpoint does not include runs that are opened after it. After a crash, the rows of such a run are recomputed. The base
//! states the offsets at which they start, because the folder may already contain lines from another journal. The base is
//! durable before the first append. It is valid only together with the checkpoint after which it was written.

use std::io::Write;
use std::path::Path;

use cctf_proto::cctf::File;

use super::error::{SYNC, SinkError};
use super::run_folder::Lengths;
use super::storage::Storage;

const FILE_NAME: &str = ".base";
const TEMPORARY_NAME: &str = ".tmp-base";
const FIRST_WORDS: &str = "cctf-base 1";

/// The content of a run's folder before the journal wrote to it.
pub struct Base {
    /// Number of the part. It is stored because the folder's name is ambiguous: a run id can look like the name of a part.
    pub number: u64,
    pub lengths: Lengths,
}

/// Stores the base of the run in `folder`.
pub fn write(storage: &mut dyn Storage, folder: &Path, epoch: u64, base: &Base) -> Result<(), SinkError> {
    let (path, temporary) = (folder.join(FILE_NAME), folder.join(TEMPORARY_NAME));
    let mut line = format!("{FIRST_WORDS} {epoch:016x} {}", base.number);
    for length in &base.lengths {
        line.push_str(&format!(" {length}"));
    }
    line.push('\n');
    let mut file = storage
        .create(&temporary)
        .map_err(SinkError::io("create", &temporary))?;
    file.write_all(line.as_bytes())
        .map_err(SinkError::io("write", &temporary))?;
    drop(file);
    storage
        .sync(&temporary)
        .map_err(SinkError::io(SYNC, &temporary))?;
    storage
        .rename(&temporary, &path)
        .map_err(SinkError::io("replace", &path))?;
    storage.sync_folder(folder).map_err(SinkError::io(SYNC, folder))
}

/// The base of the run in `folder`, if it was written after the checkpoint of this epoch.
pub fn read(storage: &mut dyn Storage, folder: &Path, epoch: u64) -> Result<Option<Base>, SinkError> {
    let path = folder.join(FILE_NAME);
    let found = storage.read(&path).map_err(SinkError::io("read", &path))?;
    Ok(found.and_then(|bytes| parse(&bytes, epoch)))
}

fn parse(bytes: &[u8], epoch: u64) -> Option<Base> {
    let line = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let mut words = line.strip_prefix(FIRST_WORDS)?.split_ascii_whitespace();
    if u64::from_str_radix(words.next()?, 16).ok()? != epoch {
        return None;
    }
    let number = words.next()?.parse().ok()?;
    let mut lengths = [0; File::ALL.len()];
    for length in &mut lengths {
        *length = words.next()?.parse().ok()?;
    }
    words.next().is_none().then_some(Base { number, lengths })
}
