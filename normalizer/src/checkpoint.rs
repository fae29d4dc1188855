//! Checkpoints: where in the journal the pipeline stood, how long its files were, and its whole state, in one file.
//!
//! The file is replaced by rename, and only when the run's files are durable up to the lengths in it. So after a crash
//! the state is read, the records behind it are fed again, and the files are completed with the same bytes.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::journal::sync_folder;
use crate::pipeline::{Pipeline, RestoreError, STATE_VERSION};
use crate::sink::Lengths;

const FILE_NAME: &str = "checkpoint";
const TEMPORARY_NAME: &str = "checkpoint.tmp";
const MAGIC: &[u8; 8] = b"CCTFCKPT";
/// Magic, version, checksum and length of the rest.
const HEADER_LEN: usize = 24;

/// A checkpoint, read.
#[derive(Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Number of the first record that is not in it.
    pub sequence: u64,
    /// Tells this checkpoint from all others.
    pub epoch: u64,
    /// Bytes of each file of each run.
    pub lengths: HashMap<String, Lengths>,
    /// The pipeline.
    pub pipeline: Pipeline,
}

/// Why a checkpoint could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system said no.
    #[error("could not {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The file is not whole.
    #[error("{} is damaged: {what}; move the journal's folder away to begin anew, or restore it", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The file is of another version.
    #[error(
        "{} is of version {found} of the state, and this normalizer reads version {STATE_VERSION}: \
         go on with the normalizer that wrote it, or stop that one in order (SIGTERM), then move the journal's folder away to \
         begin anew",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The state can't be put into bytes.
    #[error(transparent)]
    State(#[from] RestoreError),
}

/// The operation that must not be tried again.
const SYNC: &str = "sync";

impl CheckpointError {
    /// Whether it can pass by itself. The checkpoint before is still there then, and so are the records behind it.
    pub fn is_disk_full(&self) -> bool {
        // Once the folder's sync has failed, nobody knows which checkpoint is there after a power loss.
        matches!(self, Self::Io { operation, source, .. } if *operation != SYNC && matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ))
    }
}

/// A checkpoint that is on the disk.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    /// Tells it from all others.
    pub epoch: u64,
    /// Its size.
    pub bytes: u64,
}

/// A number that no other checkpoint has, of whatever journal.
pub fn new_epoch() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Writes a checkpoint into the journal's folder, so that it survives a power loss: segments are deleted on its word.
pub fn write(
    folder: &Path,
    sequence: u64,
    lengths: &HashMap<String, Lengths>,
    pipeline: &Pipeline,
) -> Result<Written, CheckpointError> {
    let epoch = new_epoch();
    let (path, temporary) = (folder.join(FILE_NAME), folder.join(TEMPORARY_NAME));
    let bytes = match write_to(&temporary, &(sequence, epoch, lengths, pipeline)) {
        Ok(bytes) => bytes,
        Err(error) => {
            // It may be in the way of what has no room. That it may stay is no further harm.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
    };
    fs::rename(&temporary, &path).map_err(io_error("replace", &path))?;
    sync_folder(folder).map_err(io_error(SYNC, folder))?;
    Ok(Written { epoch, bytes })
}

/// Writes the state to a new file as it is put into bytes: in one piece they would take as much memory again.
fn write_to(path: &Path, state: &impl Serialize) -> Result<u64, CheckpointError> {
    let failed = || io_error("write", path);
    let file = File::create(path).map_err(failed())?;
    let mut body = Body {
        file,
        checksum: 0,
        bytes: 0,
        fault: None,
    };
    body.file.write_all(&[0; HEADER_LEN]).map_err(failed())?;
    let buffered = BufWriter::with_capacity(BUFFER_BYTES, &mut body);
    let written = postcard::to_io(state, buffered)
        .map(|mut buffered| buffered.flush())
        .map_err(RestoreError::from);
    if let Some(fault) = body.fault {
        return Err(failed()(fault));
    }
    written?.map_err(failed())?;
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&STATE_VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&body.checksum.to_le_bytes());
    header[16..24].copy_from_slice(&body.bytes.to_le_bytes());
    body.file.write_all_at(&header, 0).map_err(failed())?;
    body.file.sync_all().map_err(failed())?;
    Ok(HEADER_LEN as u64 + body.bytes)
}

/// What of a checkpoint is put together before it is written.
const BUFFER_BYTES: usize = 256 * 1024;

/// A checkpoint's bytes behind its header, on their way to the file.
struct Body {
    file: File,
    checksum: u32,
    bytes: u64,
    /// Why the file did not take them, which the serializer does not tell.
    fault: Option<io::Error>,
}

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.file.write_all(bytes) {
            let told = io::Error::from(error.kind());
            self.fault = Some(error);
            return Err(told);
        }
        self.checksum = crc32c::crc32c_append(self.checksum, bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads the checkpoint in the journal's folder; `None` if there is none.
pub fn read(folder: &Path) -> Result<Option<Checkpoint>, CheckpointError> {
    let path = folder.join(FILE_NAME);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", &path)(error)),
    };
    decode(&bytes).map(Some).map_err(|fault| match fault {
        Fault::Version(found) => CheckpointError::Version { path, found },
        Fault::Damaged(what) => CheckpointError::Damaged { path, what },
    })
}

/// What is wrong with a checkpoint's bytes.
#[derive(Debug)]
enum Fault {
    Version(u32),
    Damaged(String),
}

/// Reads a checkpoint's bytes; `Err` says what is wrong with them.
pub fn check(bytes: &[u8]) -> Result<Checkpoint, String> {
    decode(bytes).map_err(|fault| match fault {
        Fault::Version(found) => format!("it is of version {found} of the state"),
        Fault::Damaged(what) => what,
    })
}

fn decode(bytes: &[u8]) -> Result<Checkpoint, Fault> {
    let damaged = |what: &str| Fault::Damaged(what.to_owned());
    let header = bytes
        .first_chunk::<HEADER_LEN>()
        .ok_or_else(|| damaged("it ends within its header"))?;
    if &header[..8] != MAGIC {
        return Err(damaged("it does not begin as a checkpoint"));
    }
    let small = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if small(8) != STATE_VERSION {
        return Err(Fault::Version(small(8)));
    }
    let len = u64::from(small(16)) | u64::from(small(20)) << 32;
    let body = &bytes[HEADER_LEN..];
    if body.len() as u64 != len {
        return Err(damaged("it is not as long as it says"));
    }
    if crc32c::crc32c(body) != small(12) {
        return Err(damaged("its checksum is wrong"));
    }
    postcard::from_bytes(body).map_err(|error| Fault::Damaged(error.to_string()))
}

fn io_error(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_owned();
    move |source| CheckpointError::Io {
        operation,
        path,
        source,
    }
}
