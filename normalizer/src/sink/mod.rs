//! [`Sink`]: writes the pipeline's output to files, in whole lines and whole snapshots. It locks the folder of each run.

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

/// Maximum number of open files, not counting one lock per run. Beyond it, the files of the least recently written run are
/// closed.
pub const OPEN_FILES_MAX: usize = 512;

pub struct Sink {
    out_dir: PathBuf,
    storage: Box<dyn Storage>,
    runs: HashMap<String, OpenRun>,
    open_files_max: usize,
    writes: u64,
    /// Lengths of all files that the journal has written; `None` without a journal.
    known: Option<HashMap<String, Lengths>>,
    /// Epoch of the checkpoint on the disk.
    epoch: u64,
    /// Set while the journal is being replayed. During this time, files can already contain later lines.
    recovering: Option<Recovering>,
}

/// State during a replay of the journal.
#[derive(Default)]
struct Recovering {
    /// Folders opened during the replay.
    opened: HashSet<String>,
    /// The last part of each run since the checkpoint; `None` until the folders have been searched for it.
    last_parts: Option<HashMap<String, u64>>,
    /// Whether to truncate files instead of completing them, because another mapping gives different rows.
    remaps: bool,
}

struct OpenRun {
    folder: RunFolder,
    last_write: u64,
}

impl Sink {
    pub fn new(out_dir: &Path) -> Self {
        Self::with_storage(out_dir, Box::new(Disk), OPEN_FILES_MAX)
    }

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

    /// Continues after the checkpoint of this epoch. An earlier sink has already got all output up to [`Self::end_recovery`],
    /// and may have written a part of it.
    #[must_use]
    pub fn resume(mut self, known: HashMap<String, Lengths>, epoch: u64) -> Self {
        self.known = Some(known);
        self.epoch = epoch;
        self.recovering = Some(Recovering::default());
        self
    }

    /// Truncates the files to their lengths at the checkpoint, because another mapping will recompute the later rows.
    #[must_use]
    pub fn remap(mut self) -> Self {
        if let Some(recovering) = &mut self.recovering {
            recovering.remaps = true;
        }
        self
    }

    /// Ends the replay. All later output is new.
    pub fn end_recovery(&mut self) -> Result<(), SinkError> {
        for folder in self.runs_ahead()? {
            // Each of these folders is in `known` or has a base already, so no base is written.
            let number = Part::parse(&folder).map_or(1, |(_, number)| number);
            self.open_folder(&folder, number, false)?;
        }
        self.recovering = None;
        // The journal has lost the record with which the run left this part (a power loss without `fsync`). Later output treats
        // the folder as it is, or creates it again.
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

    /// Runs in the checkpoint whose files are longer than recorded, although the replay had no record for them.
    fn runs_ahead(&mut self) -> Result<Vec<String>, SinkError> {
        let mut ahead = Vec::new();
        let known = self.known.iter().flatten();
        for (run_id, produced) in known.filter(|(run_id, _)| !self.runs.contains_key(*run_id)) {
            let lengths = lengths_on_disk(self.storage.as_mut(), &self.out_dir.join(run_id))?;
            if lengths != *produced
                && lengths
                    .iter()
                    .zip(produced)
                    .all(|(len, produced)| len >= produced)
            {
                ahead.push(run_id.clone());
            }
        }
        if self
            .recovering
            .as_ref()
            .is_some_and(|recovering| recovering.remaps)
        {
            // Folders that the other mapping opened and this one did not.
            ahead.extend(self.opened_since_checkpoint()?.into_iter().map(|(name, _)| name));
            ahead.sort();
            ahead.dedup();
            let opened = self.recovering.as_ref().map(|recovering| &recovering.opened);
            ahead.retain(|folder| opened.is_some_and(|opened| !opened.contains(folder)));
        }
        Ok(ahead)
    }

    /// Makes all files durable. Returns their lengths, except for folders that get no more output (`is_needed` returns false).
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

    /// Call this when the checkpoint with this epoch and these lengths is on the disk. Until then, the sink keeps the lengths
    /// of the previous checkpoint.
    pub fn checkpointed(&mut self, lengths: HashMap<String, Lengths>, epoch: u64) {
        self.known = Some(lengths);
        self.epoch = epoch;
    }

    /// Writes all output and clears it. After an error, output that was not cleared may be written in part. The next call
    /// continues at this point, even if the output has grown.
    pub fn write(&mut self, output: &mut Output) -> Result<(), SinkError> {
        for run in output.drain() {
            self.write_run(run)?;
            run.clear();
        }
        Ok(())
    }

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
        // The run stays open until this succeeds, because it stores the position in its output.
        if let Some(run) = self.runs.get_mut(output.part.folder()) {
            run.last_write = self.writes;
            run.folder.write(self.storage.as_mut(), output, is_durable)?;
        }
        // A reader that sees the end of a part can then find the next part. After a crash, the existence of the next part shows
        // that at most the end of the previous part is missing.
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

    /// Whether the run had continued in a later part before the crash.
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

    /// The last part of each run, among the folders opened since the checkpoint.
    fn last_parts(&mut self) -> Result<HashMap<String, u64>, SinkError> {
        let mut last_parts = HashMap::new();
        for (name, number) in self.opened_since_checkpoint()? {
            let parsed = Part::parse(&name).filter(|(_, parsed)| *parsed == number);
            if let Some((run_id, number)) = parsed {
                let last = last_parts.entry(run_id.to_owned()).or_insert(number);
                *last = number.max(*last);
            }
        }
        Ok(last_parts)
    }

    /// The folders opened since the checkpoint, each with its part number.
    fn opened_since_checkpoint(&mut self) -> Result<Vec<(String, u64)>, SinkError> {
        let names = self.storage.names(&self.out_dir);
        let mut opened = Vec::new();
        for name in names.map_err(SinkError::io("list", &self.out_dir))? {
            let folder = self.out_dir.join(&name);
            // Links such as `latest` are skipped.
            let is_link = self.storage.read_link(&folder).is_ok();
            if is_link {
                continue;
            }
            match base::read(self.storage.as_mut(), &folder, self.epoch) {
                Ok(Some(base)) => opened.push((name, base.number)),
                Ok(None) => {}
                // A folder of another user, such as `lost+found`.
                Err(error) if error.is_permission_denied() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(opened)
    }

    fn open_folder(&mut self, folder: &str, number: u64, is_superseded: bool) -> Result<(), SinkError> {
        let journaled = self.known.as_ref().map(|known| Journaled {
            known: known.get(folder).copied(),
            epoch: self.epoch,
            number,
            is_recovering: self.recovering.is_some(),
            // For a run that this process has opened before, `known` is newer than the run's base.
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

    /// Closes a run. With a journal, its files are already durable: the last output of a run is synced when it is written.
    fn close_run(&mut self, folder: &str) {
        let (Some(run), Some(known)) = (self.runs.remove(folder), &mut self.known) else {
            return;
        };
        if run.folder.is_superseded() {
            // The folder may be deleted at any time, so its files are never read again.
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
