//! Checkpoints: one file with a position in the journal, the lengths of all files, and the complete state of the pipeline.
//!
//! When the files of the runs are durable up to these lengths, the checkpoint file is replaced by a rename. After a crash, the
//! state is read, the later records are fed again, and the files are completed with the same bytes.

use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::journal::sync_folder;
use crate::pipeline::{Pipeline, STATE_VERSION};
use crate::sink::Lengths;

const FILE_NAME: &str = "checkpoint";
const TEMPORARY_NAME: &str = "checkpoint.tmp";
const MAGIC: &[u8; 8] = b"CCTFCKPT";
/// Magic, version, checksum and length of the rest.
const HEADER_LEN: usize = 24;

/// The content of a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Number of the first record that the state does not include.
    pub sequence: u64,
    /// A random number that identifies this checkpoint.
    pub epoch: u64,
    /// Lengths of each run's files.
    pub lengths: HashMap<String, Lengths>,
    pub pipeline: Pipeline,
}

/// The reason why a checkpoint could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "cannot use the checkpoint {}: {what}; restore it, or move the journal's folder away to start with an empty journal",
        path.display()
    )]
    Damaged { path: PathBuf, what: String },
    #[error(
        "cannot use the checkpoint {}: it has state version {found}, and this normalizer reads version {STATE_VERSION}; \
         start the normalizer that wrote it, shut it down gracefully (SIGTERM), then move the journal's folder away",
        path.display()
    )]
    Version { path: PathBuf, found: u32 },
    #[error("cannot encode the pipeline's state: {0}")]
    State(#[from] postcard::Error),
}

/// The name of the operation that must not be retried.
const SYNC: &str = "sync";

impl CheckpointError {
    /// Whether a later attempt can succeed. Until then, the previous checkpoint and all later records stay on the disk.
    pub fn is_disk_full(&self) -> bool {
        // After a failed sync of the folder, a power loss can leave either checkpoint on the disk.
        matches!(self, Self::Io { operation, source, .. } if *operation != SYNC && matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        ))
    }
}

/// A durable checkpoint.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    pub epoch: u64,
    pub bytes: u64,
}

/// A random number, different for each checkpoint of any journal.
pub fn new_epoch() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Writes a checkpoint to the journal's folder. It must survive a power loss, because earlier segments are deleted afterwards.
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
            // The file may occupy the last free space. If removing it fails, this does no further harm.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
    };
    fs::rename(&temporary, &path).map_err(io_error("replace", &path))?;
    sync_folder(folder).map_err(io_error(SYNC, folder))?;
    Ok(Written { epoch, bytes })
}

/// Serializes the state directly into a new file. A buffer for the whole state would double the memory.
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
    let written = postcard::to_io(state, buffered).map(|mut buffered| buffered.flush());
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

/// Size of the write buffer.
const BUFFER_BYTES: usize = 256 * 1024;

/// Writer for the bytes after the header, which also computes their checksum.
struct Body {
    file: File,
    checksum: u32,
    bytes: u64,
    /// The I/O error. It is stored here, because the serializer does not return it.
    fault: Option<io::Error>,
}

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.file.write_all(bytes) {
            let kind = error.kind();
            self.fault = Some(error);
            return Err(kind.into());
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

/// The reason why a checkpoint cannot be decoded.
#[derive(Debug)]
enum Fault {
    Version(u32),
    Damaged(String),
}

/// Decodes the bytes of a checkpoint. The error is the reason why this is impossible.
pub fn check(bytes: &[u8]) -> Result<Checkpoint, String> {
    decode(bytes).map_err(|fault| match fault {
        Fault::Version(found) => format!("it has state version {found}"),
        Fault::Damaged(what) => what,
    })
}

fn decode(bytes: &[u8]) -> Result<Checkpoint, Fault> {
    let damaged = |what: &str| Fault::Damaged(what.to_owned());
    let header = bytes
        .first_chunk::<HEADER_LEN>()
        .ok_or_else(|| damaged("it ends within its header"))?;
    if &header[..8] != MAGIC {
        return Err(damaged("it does not start with the magic bytes"));
    }
    let small = |offset: usize| {
        u32::from_le_bytes([
            header[offset],
            header[offset + 1],
            header[offset + 2],
            header[offset + 3],
        ])
    };
    if small(8) != STATE_VERSION {
        return Err(Fault::Version(small(8)));
    }
    let len = u64::from(small(16)) | u64::from(small(20)) << 32;
    let body = &bytes[HEADER_LEN..];
    if body.len() as u64 != len {
        return Err(damaged("its length differs from that in its header"));
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
