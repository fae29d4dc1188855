//! [`resume`]: starts from a journal. It reads the checkpoint, feeds the later records again, and completes the files.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cctf_proto::log_line;

use super::checkpoint::{self, Checkpoint, CheckpointError};
use super::feeding::Feeding;
use crate::journal::{Recovered, Recovery, RecoveryError, Store, StoreError, StoreSettings, recover};
use crate::pipeline::{Pipeline, Settings};
use crate::sink::{Sink, SinkError};

/// This file is locked while a normalizer writes to the journal.
pub(super) const LOCK_FILE: &str = "lock";

/// The reason why the normalizer cannot continue from its journal.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    #[error("cannot use the journal folder {}: {source}; make it writable or choose another --journal-dir", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("cannot use the journal in {}: another running normalizer uses it; stop that one or choose another --out-dir", path.display())]
    Locked { path: PathBuf },
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// The restored parts of a normalizer.
pub struct Resumed {
    /// The pipeline's state after the last record.
    pub pipeline: Pipeline,
    /// The sink, with complete files.
    pub sink: Sink,
    pub store: Store,
    /// Keeps the journal locked until it is dropped.
    pub lock: File,
    /// Number of records that were fed again.
    pub records: u64,
}

/// Restores the state at the end of the journal. The settings are those in the journal; the caller appends its own settings
/// afterwards.
pub fn resume(store: StoreSettings, repair: bool, remap: bool, sink: Sink) -> Result<Resumed, ResumeError> {
    let folder = store.folder.clone();
    let lock = lock(&folder)?;
    let Checkpoint {
        sequence,
        epoch,
        lengths,
        mut pipeline,
    } = checkpoint::read(&folder)?.unwrap_or_else(|| Checkpoint {
        sequence: 0,
        epoch: checkpoint::new_epoch(),
        lengths: HashMap::new(),
        pipeline: Pipeline::new(Settings::default()),
    });
    let sink = sink.resume(lengths, epoch);
    let mut feeding = Feeding::new(if remap { sink.remap() } else { sink });
    let how = Recovery {
        from: sequence,
        repair,
        mapping_version: store.mapping_version,
        remap,
    };
    let recovered = recover(&folder, how, &mut |_, record| {
        feeding.feed(&mut pipeline, &record)
    })?;
    let (mut sink, records) = feeding.finish()?;
    sink.end_recovery()?;
    log_losses(&recovered);
    let next_sequence = recovered.next_sequence;
    let lengths = sink.sync(|folder| pipeline.writes_to(folder))?;
    let written = checkpoint::write(&folder, next_sequence, &lengths, &pipeline)?;
    sink.checkpointed(lengths, written.epoch);
    let mut store = Store::open(store, recovered.segments, next_sequence, recovered.tail)?;
    store.delete_before(next_sequence)?;
    Ok(Resumed {
        pipeline,
        sink,
        store,
        lock,
        records,
    })
}

fn log_losses(recovered: &Recovered) {
    if recovered.repaired {
        log_line!(
            "warning: --repair skipped damaged parts of the journal; {} records are lost",
            recovered.records_lost
        );
    }
    if recovered.torn_bytes > 0 {
        log_line!(
            "truncated {} bytes of uncommitted records at the end of the journal",
            recovered.torn_bytes
        );
    }
}

fn lock(folder: &Path) -> Result<File, ResumeError> {
    let unusable = |source| ResumeError::Folder {
        path: folder.to_owned(),
        source,
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(unusable)?;
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(folder.join(LOCK_FILE)).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ResumeError::Locked {
            path: folder.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}
