//! The sink: the pipeline's output becomes files, whole lines and whole snapshots, one locked folder a run.

mod error;
mod run_folder;
mod storage;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::pipeline::{Output, RunOutput};
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
        }
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
            let folder = RunFolder::open(self.storage.as_mut(), self.out_dir.join(&output.run_id))?;
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
            self.runs.remove(&output.run_id);
        } else if let Some(run) = self.runs.get_mut(&output.run_id) {
            run.folder.finish_output();
        }
        self.bound_open_files();
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
