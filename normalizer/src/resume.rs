//! Start-up with a journal: the checkpoint is read, the records behind it are fed again, the files are completed.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use cctf_proto::log_line;

use crate::checkpoint::{self, Checkpoint, CheckpointError};
use crate::feeding::Feeding;
use crate::journal::{Recovered, Recovery, RecoveryError, Store, StoreError, StoreSettings, recover};
use crate::pipeline::{Pipeline, Settings};
use crate::sink::{Sink, SinkError};

/// Held as long as the journal is ours.
pub const LOCK_FILE: &str = "lock";

/// Why the normalizer could not go on where it ended.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// The journal's folder can't be used.
    #[error("cannot use the journal's folder {}: {source}, make it writable or choose another --journal-dir", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another normalizer uses it.
    #[error("the journal in {} belongs to another normalizer that runs: stop that one or choose another --out-dir", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The records.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The segments.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The files.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// A normalizer that can go on.
pub struct Resumed {
    /// The pipeline, in the state behind the last record.
    pub pipeline: Pipeline,
    /// The sink, its files complete.
    pub sink: Sink,
    /// The journal's writing end.
    pub store: Store,
    /// Held, not read: the journal is ours until it is dropped.
    pub lock: File,
    /// Records that were fed again.
    pub records: u64,
}

/// Goes on where the journal ends. The settings are those of the journal; others are for it to be told.
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
    tell(&recovered);
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

fn tell(recovered: &Recovered) {
    if recovered.repaired {
        log_line!(
            "warning: --repair went on behind damage in the journal and gave up {} records",
            recovered.records_lost
        );
    }
    if recovered.torn_bytes > 0 {
        log_line!(
            "cut {} bytes off the journal's end, of records that were begun and not committed",
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
