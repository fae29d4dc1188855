//! [`Engine`]: the parts downstream of the receiver, from the journal to the files, and the journal's folder.

use std::fs::File;
use std::path::PathBuf;

use cctf_proto::log_line;

use super::error::{RunError, StartError};
use super::threads::{ended, spawn};
use crate::config::Config;
use crate::disk_guard::DiskGuard;
use crate::journal::{self, Committer, Durability, Journal};
use crate::out_dir::OutDir;
use crate::pipeline::{Pipeline, Settings};
use crate::recovery::resume;
use crate::sink::Sink;
use crate::worker::{Checkpoints, Worker};

/// The parts downstream of the receiver.
pub(super) struct Engine {
    pub(super) journal: Journal,
    pub(super) worker: Worker,
    committer: Option<(Committer, KeptJournal)>,
}

/// The journal's folder, locked as long as this lives.
pub(super) struct KeptJournal {
    folder: PathBuf,
    keep_raw: bool,
    _lock: File,
}

impl KeptJournal {
    /// Deletes all segments, unless they are to be kept. After the last checkpoint, no later start needs their records.
    pub(super) fn seal(&self) {
        if self.keep_raw {
            return;
        }
        if let Err(error) = journal::delete_segments(&self.folder) {
            log_line!(
                "warning: cannot delete the journal segments in {}: {error}",
                self.folder.display()
            );
        }
    }
}

impl Engine {
    pub(super) fn start(config: &Config, out_dir: &OutDir, run_id: String) -> Result<Self, StartError> {
        let store = config.store_settings(&run_id);
        let settings = Settings {
            runs_ignore_case: out_dir.ignores_case,
            ..config.pipeline_settings(run_id)
        };
        let settings = settings.to_json().into();
        let sink = Sink::new(&config.out_dir);
        if store.durability == Durability::None {
            let (journal, reader) = journal::open(config.queue_limits(), journal::wall_clock(0));
            journal.append_settings(settings);
            let worker = Worker::new(
                (journal.clone(), reader),
                Pipeline::new(Settings::default()),
                sink,
            );
            return Ok(Self {
                journal,
                worker,
                committer: None,
            });
        }
        let folder = store.folder.clone();
        let resumed = resume(store, config.repair, config.remap, sink)?;
        if resumed.records > 0 {
            log_line!(
                "replayed {} journal records since the last checkpoint",
                resumed.records
            );
        }
        let last_unix_ns = resumed.pipeline.last_unix_ns();
        let (journal, commit_end, reader) = journal::open_durable(
            config.queue_limits(),
            journal::wall_clock(last_unix_ns),
            last_unix_ns,
        );
        journal.append_settings(settings);
        let checkpoints = Checkpoints::new(folder.clone(), resumed.store.next_sequence());
        let worker = Worker::new((journal.clone(), reader), resumed.pipeline, resumed.sink)
            .with_checkpoints(checkpoints);
        let kept = KeptJournal {
            folder,
            keep_raw: config.keep_raw,
            _lock: resumed.lock,
        };
        Ok(Self {
            journal,
            worker,
            committer: Some((Committer::new(commit_end, resumed.store), kept)),
        })
    }

    pub(super) fn disk_guard(&self, config: &Config) -> DiskGuard {
        let journal_folder = self.committer.as_ref().map(|(_, kept)| &kept.folder);
        let folders = std::iter::once(&config.out_dir).chain(journal_folder);
        DiskGuard::new(self.journal.clone(), folders, config.disk_free_min)
    }

    /// Starts the threads. Returns a future that resolves when they have ended, and the journal, which must be sealed
    /// afterwards.
    pub(super) fn start_threads(
        self,
    ) -> Result<(impl Future<Output = Result<(), RunError>>, Option<KeptJournal>), RunError> {
        let worker = self.worker;
        let pipeline =
            spawn("pipeline", move || worker.run().map_err(RunError::from)).map_err(RunError::Thread)?;
        let (committer, kept) = match self.committer {
            Some((committer, kept)) => {
                let run = move || committer.run().map_err(RunError::from);
                (Some(spawn("journal", run).map_err(RunError::Thread)?), Some(kept))
            }
            None => (None, None),
        };
        Ok((ended(pipeline, committer), kept))
    }
}
