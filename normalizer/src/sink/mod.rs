//! The sink: the pipeline's output becomes files, whole lines and whole snapshots, one locked folder a run.

mod error;
mod run_folder;
mod storage;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::pipeline::{Output, RunOutput};
pub use run_folder::Lengths;
use run_folder::RunFolder;

pub use error::SinkError;
pub use storage::{Disk, Storage};

/// Points to the newest run's folder.
const LATEST_LINK: &str = "latest";

/// Files open at once, besides one lock a run. Past it the run that was written longest ago has its files closed.
pub const OPEN_FILES_MAX: usize = 512;

/// Writes runs below one folder.
pub struct Sink {
    out_dir: PathBuf,
    storage: Box<dyn Storage>,
    runs: HashMap<String, OpenRun>,
    open_files_max: usize,
    writes: u64,
    /// Bytes of each file of every run that the journal tells of; `None` without a journal.
    known: Option<HashMap<String, Lengths>>,
    /// Whether the journal is being read again: files may be ahead of it.
    recovering: bool,
}

struct OpenRun {
    folder: RunFolder,
    last_write: u64,
}

impl Sink {
    /// A sink on the disk.
    pub fn new(out_dir: &Path) -> Self {
        Self::with_storage(out_dir, Box::new(Disk), OPEN_FILES_MAX)
    }

    /// A sink on any storage.
    pub fn with_storage(out_dir: &Path, storage: Box<dyn Storage>, open_files_max: usize) -> Self {
        Self {
            out_dir: out_dir.to_owned(),
            storage,
            runs: HashMap::new(),
            open_files_max,
            writes: 0,
            known: None,
            recovering: false,
        }
    }

    /// A sink that goes on where a checkpoint was made: what follows, up to [`Self::end_recovery`], was given to a sink
    /// before, and some of it may have been written.
    #[must_use]
    pub fn resume(mut self, known: HashMap<String, Lengths>) -> Self {
        self.known = Some(known);
        self.recovering = true;
        self
    }

    /// The journal has been read to its end: what comes now is new.
    pub fn end_recovery(&mut self) -> Result<(), SinkError> {
        self.recovering = false;
        for run in self.runs.values_mut() {
            run.folder.end_recovery(self.storage.as_mut())?;
        }
        Ok(())
    }

    /// Makes all files durable, and tells how long they are. `is_needed` says of a run whether anything may still come
    /// for it; what is known of the others is forgotten.
    pub fn sync(&mut self, is_needed: impl Fn(&str) -> bool) -> Result<HashMap<String, Lengths>, SinkError> {
        for run in self.runs.values_mut() {
            run.folder.sync(self.storage.as_mut())?;
        }
        let mut known = self.known.take().unwrap_or_default();
        known.extend(
            self.runs
                .iter()
                .map(|(id, run)| (id.clone(), run.folder.lengths())),
        );
        known.retain(|id, _| is_needed(id));
        self.known = Some(known.clone());
        Ok(known)
    }

    /// Writes all output and clears it. After an error, what is not cleared is not or not wholly written: written
    /// again, with whatever has come to it, it goes on where it stopped.
    pub fn write(&mut self, output: &mut Output) -> Result<(), SinkError> {
        for run in output.drain() {
            self.write_run(run)?;
            run.clear();
        }
        Ok(())
    }

    /// How many runs are open.
    pub fn open_runs(&self) -> usize {
        self.runs.len()
    }

    fn write_run(&mut self, output: &RunOutput) -> Result<(), SinkError> {
        if !self.runs.contains_key(&output.run_id) {
            let made = self
                .known
                .as_ref()
                .and_then(|known| known.get(&output.run_id).copied());
            // A run that the checkpoint does not know was opened after it, so all of its bytes are made again.
            let made = made.or_else(|| self.recovering.then(Lengths::default));
            let folder = RunFolder::open(self.storage.as_mut(), self.out_dir.join(&output.run_id), made)?;
            let run = OpenRun {
                folder,
                last_write: 0,
            };
            self.runs.insert(output.run_id.clone(), run);
        }
        self.writes += 1;
        if let Some(run) = self.runs.get_mut(&output.run_id) {
            run.last_write = self.writes;
            run.folder.write(self.storage.as_mut(), output)?;
        }
        if output.latest {
            self.point_latest_to(&output.run_id)?;
        }
        if output.closed {
            self.close_run(&output.run_id)?;
        } else if let Some(run) = self.runs.get_mut(&output.run_id) {
            run.folder.finish_output();
        }
        self.bound_open_files();
        Ok(())
    }

    fn close_run(&mut self, run_id: &str) -> Result<(), SinkError> {
        let Some(mut run) = self.runs.remove(run_id) else {
            return Ok(());
        };
        if let Some(known) = &mut self.known {
            run.folder.sync(self.storage.as_mut())?;
            known.insert(run_id.to_owned(), run.folder.lengths());
        }
        Ok(())
    }

    fn point_latest_to(&mut self, run_id: &str) -> Result<(), SinkError> {
        let latest = self.out_dir.join(LATEST_LINK);
        let temporary = self
            .out_dir
            .join(format!(".tmp-{LATEST_LINK}-{}", std::process::id()));
        match self.storage.remove(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(SinkError::io("remove", &temporary)(error));
            }
            _ => {}
        }
        self.storage
            .symlink(Path::new(run_id), &temporary)
            .map_err(SinkError::io("link", &temporary))?;
        self.storage
            .rename(&temporary, &latest)
            .map_err(SinkError::io("replace", &latest))
    }

    fn bound_open_files(&mut self) {
        let mut open: usize = self.runs.values().map(|run| run.folder.open_files()).sum();
        while open > self.open_files_max {
            let with_files = self.runs.values_mut().filter(|run| run.folder.open_files() > 0);
            let Some(oldest) = with_files.min_by_key(|run| run.last_write) else {
                return;
            };
            open -= oldest.folder.open_files();
            oldest.folder.close_files();
        }
    }
}

#[cfg(test)]
mod tests;
