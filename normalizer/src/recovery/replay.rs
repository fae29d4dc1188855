//! [`replay`]: feeds kept journal segments to a new pipeline. The same journal gives the same files.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use cctf_proto::keys;
use cctf_proto::log_line;

use super::feeding::Feeding;
use super::resume::LOCK_FILE;
use crate::config::{Config, ExplicitFlags};
use crate::journal::{Content, Record, RecoveryError, read_kept};
use crate::pipeline::{Pipeline, Settings};
use crate::sink::{Sink, SinkError};

/// The reason why a journal could not be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(
        "cannot {operation} {}: {source}; pass the folder with the segments and a writable --out-dir",
        path.display()
    )]
    Folder {
        operation: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot replay the journal in {}: a running normalizer uses it; stop that one first", path.display())]
    Locked { path: PathBuf },
    #[error("cannot write to {}: it is not empty, and lines could be duplicated; choose a new --out-dir", path.display())]
    NotEmpty { path: PathBuf },
    #[error("cannot replay {}: it has no journal segments; start the normalizer with --keep-raw to keep them", path.display())]
    Nothing { path: PathBuf },
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// Feeds the journal in `folder` to a new pipeline and returns the number of records. Settings that the operator set
/// explicitly override those in the journal.
pub fn replay(folder: &Path, config: &Config, explicit: &ExplicitFlags) -> Result<u64, ReplayError> {
    let _lock = lock(folder)?;
    make_empty(&config.out_dir)?;
    // These settings apply until the first record with settings. The normalizer appends such a record at every start.
    let mut pipeline = Pipeline::new(config.pipeline_settings(run_id(folder, config)));
    let mut feeding = Feeding::new(Sink::new(&config.out_dir));
    let mut last = None;
    let read = read_kept(folder, config.repair, &mut |_, record| {
        let record = with_overrides(record, config, explicit);
        feeding.feed(&mut pipeline, &record);
        last = Some((record.content == Content::Shutdown, record.received_unix_ns));
    })?;
    if read.repaired {
        log_line!(
            "warning: --repair skipped damaged parts of the journal; {} records are lost",
            read.records_lost
        );
    }
    let Some((is_shutdown, received_unix_ns)) = last else {
        let path = folder.to_owned();
        return Err(ReplayError::Nothing { path });
    };
    if !is_shutdown {
        // The journal ended with a crash, so pending rows are written as at a shutdown.
        let content = Content::Shutdown;
        let record = Record {
            received_unix_ns,
            content,
        };
        feeding.feed(&mut pipeline, &record);
    }
    Ok(feeding.finish()?.1)
}

/// The record. If it contains settings, explicitly set values override them.
fn with_overrides(mut record: Record, config: &Config, explicit: &ExplicitFlags) -> Record {
    if let Content::Settings { body } = &mut record.content
        && let Some(mut settings) = Settings::from_json(body)
    {
        config.override_settings(explicit, &mut settings);
        *body = settings.to_json().into();
    }
    record
}

/// The id of the normalizer's own run. The default is the name of the journal's folder, if this is a valid run id.
fn run_id(folder: &Path, config: &Config) -> String {
    if let Some(run_id) = &config.run_id {
        return run_id.clone();
    }
    let name = folder.canonicalize().ok();
    let name = name.as_deref().and_then(Path::file_name).unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    match keys::is_valid_run_id(&name) {
        true => name,
        false => Settings::default().run_id,
    }
}

fn make_empty(out_dir: &Path) -> Result<(), ReplayError> {
    let unusable = |source| ReplayError::Folder {
        operation: "write to",
        path: out_dir.to_owned(),
        source,
    };
    fs::create_dir_all(out_dir).map_err(unusable)?;
    match fs::read_dir(out_dir).map_err(unusable)?.next() {
        None => Ok(()),
        Some(_) => Err(ReplayError::NotEmpty {
            path: out_dir.to_owned(),
        }),
    }
}

/// Locks the journal. A journal without a lock file, such as a copy on a read-only file system, has no writer and is not
/// locked.
fn lock(folder: &Path) -> Result<Option<File>, ReplayError> {
    let path = folder.to_owned();
    let unusable = |source| ReplayError::Folder {
        operation: "read",
        path: path.clone(),
        source,
    };
    fs::read_dir(folder).map_err(unusable)?;
    let file = match File::open(folder.join(LOCK_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(ReplayError::Locked { path }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}
