//! Kept journal segments through a fresh pipeline into a fresh folder: the same journal makes the same files.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use cctf_proto::keys;
use cctf_proto::log_line;

use crate::config::Config;
use crate::feeding::Feeding;
use crate::given::Given;
use crate::journal::{Content, Record, RecoveryError, read_kept};
use crate::pipeline::{Pipeline, Settings};
use crate::resume::LOCK_FILE;
use crate::sink::{Sink, SinkError};

/// Why a journal could not be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A folder can't be used.
    #[error(
        "cannot {operation} {}: {source}, give the folder that holds the segments and an --out-dir that can be written",
        path.display()
    )]
    Folder {
        /// What was tried.
        operation: &'static str,
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its normalizer still writes to it.
    #[error("the journal in {} belongs to a normalizer that runs: stop that one first", path.display())]
    Locked {
        /// The journal's folder.
        path: PathBuf,
    },
    /// There is something already.
    #[error("{} is not empty: choose a new --out-dir, so that no line is there twice", path.display())]
    NotEmpty {
        /// Where the files were to go.
        path: PathBuf,
    },
    /// There is nothing to replay.
    #[error("no journal segments in {}: they are kept with --keep-raw only", path.display())]
    Nothing {
        /// The journal's folder.
        path: PathBuf,
    },
    /// The records.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The files.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// Feeds the journal in `folder` to a new pipeline, with the settings that the journal tells, but for those that `given`
/// says the operator has told. Returns how many records it has.
pub fn replay(folder: &Path, config: &Config, given: &Given) -> Result<u64, ReplayError> {
    let _lock = lock(folder)?;
    make_empty(&config.out_dir)?;
    // For a journal that begins without settings; one of ours tells them when it is begun and at every start.
    let mut pipeline = Pipeline::new(config.pipeline_settings(run_id(folder, config)));
    let mut feeding = Feeding::new(Sink::new(&config.out_dir));
    let mut last = None;
    let read = read_kept(folder, config.repair, &mut |_, record| {
        let record = with_given(record, config, given);
        feeding.feed(&mut pipeline, &record);
        last = Some((record.content == Content::Shutdown, record.received_unix_ns));
    })?;
    if read.repaired {
        log_line!("warning: --repair gave up {} records", read.records_lost);
    }
    let Some((is_shutdown, received_unix_ns)) = last else {
        let path = folder.to_owned();
        return Err(ReplayError::Nothing { path });
    };
    if !is_shutdown {
        // The journal ends in a crash: what waits then is written as at a shutdown.
        let content = Content::Shutdown;
        let record = Record {
            received_unix_ns,
            content,
        };
        feeding.feed(&mut pipeline, &record);
    }
    Ok(feeding.finish()?.1)
}

/// The record, with the settings that the operator has told in the place of those that the journal does.
fn with_given(mut record: Record, config: &Config, given: &Given) -> Record {
    if let Content::Settings { body } = &mut record.content
        && let Some(mut settings) = Settings::of_json(body)
    {
        config.put_given(given, &mut settings);
        *body = settings.to_json().into();
    }
    record
}

/// A journal lies in a folder of the own run's name, unless another was chosen.
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

/// The journal may lie where nothing can be written, and then nobody writes to it.
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
