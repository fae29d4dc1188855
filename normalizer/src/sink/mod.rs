//! The sink: the pipeline's output becomes files, whole lines and whole snapshots, one locked folder a run.

mod base;
mod error;
mod run_folder;
mod storage;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use cctf_proto::cctf::Part;
use cctf_proto::keys::LATEST_LINK;

use crate::pipeline::{Output, RunOutput};
pub use run_folder::Lengths;
use run_folder::{Journaled, RunFolder, lengths_on_disk};

use error::SYNC;
pub use error::SinkError;
pub use storage::{Disk, Storage};

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
    /// Tells the checkpoint on the disk from all others.
    epoch: u64,
    /// While the journal is being read again, and files may be ahead of it.
    recovering: Option<Recovering>,
}

/// What is kept while the journal is being read again.
#[derive(Default)]
struct Recovering {
    /// The folders that were opened meanwhile.
    opened: HashSet<String>,
    /// The last part in which each run had gone on since the checkpoint, once it has been looked for.
    last_parts: Option<HashMap<String, u64>>,
    /// Whether files are cut back instead of being completed: other bytes come than those that are there.
    remaps: bool,
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
            epoch: 0,
            recovering: None,
        }
    }

    /// A sink that goes on where the checkpoint of this epoch was made: what follows, up to [`Self::end_recovery`], was
    /// given to a sink before, and some of it may have been written.
    #[must_use]
    pub fn resume(mut self, known: HashMap<String, Lengths>, epoch: u64) -> Self {
        self.known = Some(known);
        self.epoch = epoch;
        self.recovering = Some(Recovering::default());
        self
    }

    /// Besides, another mapping makes the rows: files are cut back to where the checkpoint was made.
    #[must_use]
    pub fn remap(mut self) -> Self {
        if let Some(recovering) = &mut self.recovering {
            recovering.remaps = true;
        }
        self
    }

    /// The journal has been read to its end: what comes now is new.
    pub fn end_recovery(&mut self) -> Result<(), SinkError> {
        for folder in self.runs_ahead()? {
            // Of what is known, which is all that is ahead, no base is written.
            let number = Part::parse(&folder).map_or(1, |(_, number)| number);
            self.open_folder(&folder, number, false)?;
        }
        self.recovering = None;
        // That the run had gone on is lost from the journal (a power loss without `fsync`): with what comes the folder is taken
        // as it is, or begun anew.
        for (superseded, _) in self.runs.extract_if(|_, run| run.folder.is_superseded()) {
            if let Some(known) = &mut self.known {
                known.remove(&superseded);
            }
        }
        for run in self.runs.values_mut() {
            run.folder.end_recovery(self.storage.as_mut())?;
        }
        Ok(())
    }

    /// Runs that the checkpoint knows, that no record came for, and whose files are longer all the same.
    fn runs_ahead(&mut self) -> Result<Vec<String>, SinkError> {
        let mut ahead = Vec::new();
        let known = self.known.iter().flatten();
        for (run_id, made) in known.filter(|(run_id, _)| !self.runs.contains_key(*run_id)) {
            let lengths = lengths_on_disk(self.storage.as_mut(), &self.out_dir.join(run_id))?;
            if lengths != *made && lengths.iter().zip(made).all(|(len, made)| len >= made) {
                ahead.push(run_id.clone());
            }
        }
        if self
            .recovering
            .as_ref()
            .is_some_and(|recovering| recovering.remaps)
        {
            // What the other mapping has opened, and this one has not.
            ahead.extend(self.begun_since_checkpoint()?.into_iter().map(|(name, _)| name));
            ahead.sort();
            ahead.dedup();
            let opened = self.recovering.as_ref().map(|recovering| &recovering.opened);
            ahead.retain(|folder| opened.is_some_and(|opened| !opened.contains(folder)));
        }
        Ok(ahead)
    }

    /// Makes all files durable, and tells how long they are. `is_needed` says of a folder whether anything may still come
    /// for it; what is known of the others is left out.
    pub fn sync(&mut self, is_needed: impl Fn(&str) -> bool) -> Result<HashMap<String, Lengths>, SinkError> {
        for run in self.runs.values_mut() {
            run.folder.sync(self.storage.as_mut())?;
        }
        let mut known = self.known.clone().unwrap_or_default();
        known.extend(
            self.runs
                .iter()
                .map(|(id, run)| (id.clone(), run.folder.lengths())),
        );
        known.retain(|id, _| is_needed(id));
        Ok(known)
    }

    /// A checkpoint of this epoch with these lengths is on the disk. Before that, nothing that the one before knows may be
    /// forgotten.
    pub fn checkpointed(&mut self, lengths: HashMap<String, Lengths>, epoch: u64) {
        self.known = Some(lengths);
        self.epoch = epoch;
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
        self.open_part(&output.part)?;
        if output.latest {
            self.point_latest_to(output.part.folder())?;
        }
        self.writes += 1;
        let is_durable = self.known.is_some();
        // As long as this can fail, the run stays: it knows how far its output has been written.
        if let Some(run) = self.runs.get_mut(output.part.folder()) {
            run.last_write = self.writes;
            run.folder.write(self.storage.as_mut(), output, is_durable)?;
        }
        // Who sees a part ended finds the next one; and after a crash the next one tells that of the part before it nothing
        // but its end can be missing.
        if let Some(next) = &output.rolled_to {
            self.open_part(next)?;
            if is_durable {
                let synced = self.storage.sync_folder(&self.out_dir);
                synced.map_err(SinkError::io(SYNC, &self.out_dir))?;
            }
        }
        if let Some(run) = self.runs.get_mut(output.part.folder()) {
            run.folder.end(self.storage.as_mut(), is_durable)?;
            run.folder.finish_output();
        }
        if output.closed || output.rolled_to.is_some() {
            self.close_run(output.part.folder());
        }
        self.bound_open_files();
        Ok(())
    }

    fn open_part(&mut self, part: &Part) -> Result<(), SinkError> {
        if self.runs.contains_key(part.folder()) {
            return Ok(());
        }
        let is_superseded = self.is_superseded(part)?;
        self.open_folder(part.folder(), part.number(), is_superseded)
    }

    /// Whether the run had gone on in a later part when the process that is recovered from ended.
    fn is_superseded(&mut self, part: &Part) -> Result<bool, SinkError> {
        if self
            .recovering
            .as_ref()
            .is_some_and(|recovering| recovering.last_parts.is_none())
        {
            let last_parts = self.last_parts()?;
            if let Some(recovering) = &mut self.recovering {
                recovering.last_parts = Some(last_parts);
            }
        }
        let recovering = self.recovering.as_ref();
        let last_parts = recovering.and_then(|recovering| recovering.last_parts.as_ref());
        let last = last_parts.and_then(|last_parts| last_parts.get(part.run_id()));
        Ok(last.is_some_and(|&last| part.number() < last))
    }

    /// The last part of each run among the folders that were opened since the checkpoint.
    fn last_parts(&mut self) -> Result<HashMap<String, u64>, SinkError> {
        let mut last_parts = HashMap::new();
        for (name, number) in self.begun_since_checkpoint()? {
            let parsed = Part::parse(&name).filter(|(_, parsed)| *parsed == number);
            if let Some((run_id, number)) = parsed {
                let last = last_parts.entry(run_id.to_owned()).or_insert(number);
                *last = number.max(*last);
            }
        }
        Ok(last_parts)
    }

    /// The folders that were opened since the checkpoint, and which part of its run each is.
    fn begun_since_checkpoint(&mut self) -> Result<Vec<(String, u64)>, SinkError> {
        let names = self.storage.names(&self.out_dir);
        let mut begun = Vec::new();
        for name in names.map_err(SinkError::io("list", &self.out_dir))? {
            let folder = self.out_dir.join(&name);
            // A link such as `latest` is no folder of its own.
            let is_link = self.storage.read_link(&folder).is_ok();
            if is_link {
                continue;
            }
            match base::read(self.storage.as_mut(), &folder, self.epoch) {
                Ok(Some(base)) => begun.push((name, base.number)),
                Ok(None) => {}
                // `lost+found`, or somebody's own: none that we have made.
                Err(error) if error.is_permission_denied() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(begun)
    }

    fn open_folder(&mut self, folder: &str, number: u64, is_superseded: bool) -> Result<(), SinkError> {
        let journaled = self.known.as_ref().map(|known| Journaled {
            known: known.get(folder).copied(),
            epoch: self.epoch,
            number,
            is_recovering: self.recovering.is_some(),
            // What this process knows of a run that it has opened and closed is newer than the run's base.
            is_base_needed: self
                .recovering
                .as_ref()
                .is_some_and(|recovering| !recovering.opened.contains(folder)),
            is_superseded,
            is_remapped: self
                .recovering
                .as_ref()
                .is_some_and(|recovering| recovering.remaps),
        });
        let path = self.out_dir.join(folder);
        let run = OpenRun {
            folder: RunFolder::open(self.storage.as_mut(), path, journaled.as_ref())?,
            last_write: 0,
        };
        self.runs.insert(folder.to_owned(), run);
        if let Some(recovering) = &mut self.recovering {
            recovering.opened.insert(folder.to_owned());
        }
        Ok(())
    }

    /// It has been synced with its last snapshot.
    fn close_run(&mut self, folder: &str) {
        let (Some(run), Some(known)) = (self.runs.remove(folder), &mut self.known) else {
            return;
        };
        if run.folder.is_superseded() {
            // Somebody may be deleting it: its files are not looked at any more.
            known.remove(folder);
        } else {
            known.insert(folder.to_owned(), run.folder.lengths());
        }
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
mod resume_tests;
#[cfg(test)]
mod tests;
