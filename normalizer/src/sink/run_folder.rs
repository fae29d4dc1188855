//! [`RunFolder`]: one run's files, from the lock on its folder to whole lines and whole snapshots in them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{File, Shape};

use super::base;
use super::error::{SYNC, SinkError};
use super::storage::Storage;
use crate::pipeline::RunOutput;

/// The folder that readers look in.
const CCTF_FOLDER: &str = "cctf";
/// Locked as long as the run is written; outside the folder that readers look in.
const LOCK_FILE: &str = ".lock";
/// The runbook's names of files, as links beside the folder of the files.
const LINKS: [(&str, File); 8] = [
    ("events.jsonl", File::Invocations),
    ("resources.jsonl", File::HostMetrics),
    ("links.jsonl", File::LinkMetrics),
    ("node_meta.json", File::Nodes),
    ("placement_events.jsonl", File::PlacementEvents),
    ("system_stats.jsonl", File::SystemStats),
    ("run_meta.json", File::RunMeta),
    ("module_inventory.json", File::ModuleInventory),
];

/// The files of one run.
pub(super) struct RunFolder {
    path: PathBuf,
    /// Held, not read: the run is ours until it is dropped.
    _lock: Box<dyn Send>,
    appended_to: [Option<Box<dyn Write + Send>>; File::ALL.len()],
    /// How far each file's lines of the output under way have been written.
    written: [usize; File::ALL.len()],
    /// Bytes of each file that the pipeline has made.
    made: Lengths,
    /// Bytes of each file beyond those: written before a crash, to be made again and not written twice.
    ahead: Lengths,
    /// Whether a file has bytes that may not be durable.
    dirty: [bool; File::ALL.len()],
    /// Whether the names of the files and of the folders are durable.
    names_are_durable: bool,
}

/// Bytes of each file of a run.
pub type Lengths = [u64; File::ALL.len()];

/// What a journal knows of a run that is opened.
pub(super) struct Journaled {
    /// How much of each file it has made.
    pub known: Option<Lengths>,
    /// The checkpoint on the disk.
    pub epoch: u64,
    /// Whether the journal is being read again: the files may be ahead of it.
    pub is_recovering: bool,
    /// Whether what the run's folder keeps goes over what is known.
    pub is_base_needed: bool,
}

impl RunFolder {
    /// Locks the run's folder, making it and all that belongs in it where it is not there yet.
    pub(super) fn open(
        storage: &mut dyn Storage,
        path: PathBuf,
        journaled: Option<&Journaled>,
    ) -> Result<Self, SinkError> {
        let cctf = path.join(CCTF_FOLDER);
        storage
            .create_folder(&cctf)
            .map_err(SinkError::io("create folder", &cctf))?;
        let lock_path = path.join(LOCK_FILE);
        let lock = match storage.lock(&lock_path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(SinkError::Locked { path });
            }
            Err(error) => return Err(SinkError::io("lock", &lock_path)(error)),
        };
        let mut folder = Self {
            path,
            _lock: lock,
            appended_to: std::array::from_fn(|_| None),
            written: [0; File::ALL.len()],
            made: Lengths::default(),
            ahead: Lengths::default(),
            dirty: [false; File::ALL.len()],
            names_are_durable: false,
        };
        folder.find_place(storage, journaled)?;
        for &file in File::ALL {
            folder.begin(storage, file)?;
        }
        for (name, file) in LINKS {
            folder.link(storage, name, file)?;
        }
        Ok(folder)
    }

    /// Finds out what of the files the pipeline has made, and what it will make again. Files of which the journal knows
    /// nothing are taken as they are: a half line at the end of one is what a crash left; nobody has read it as a
    /// line, and it is cut.
    fn find_place(
        &mut self,
        storage: &mut dyn Storage,
        journaled: Option<&Journaled>,
    ) -> Result<(), SinkError> {
        let lengths = self.lengths_on_disk(storage)?;
        let made = match journaled {
            Some(journaled) => self.made_before(storage, journaled, &lengths)?,
            None => None,
        };
        let Some(made) = made else {
            self.made = self.cut_torn_lines(storage, File::ALL)?;
            return match journaled {
                Some(journaled) => base::write(storage, &self.path, journaled.epoch, &self.made),
                None => Ok(()),
            };
        };
        self.made = made;
        let may_be_ahead = journaled.is_some_and(|journaled| journaled.is_recovering);
        for &file in File::ALL {
            let (len, made) = (lengths[file as usize], made[file as usize]);
            if len < made || len > made && !may_be_ahead {
                let (path, offset) = (self.file_path(file), len.min(made));
                return Err(SinkError::Differs { path, offset });
            }
            self.ahead[file as usize] = len - made;
        }
        Ok(())
    }

    fn made_before(
        &self,
        storage: &mut dyn Storage,
        journaled: &Journaled,
        lengths: &Lengths,
    ) -> Result<Option<Lengths>, SinkError> {
        if journaled.is_base_needed
            && let Some(base) = base::read(storage, &self.path, journaled.epoch)?
        {
            return Ok(Some(base));
        }
        let Some(known) = journaled.known else {
            return Ok(None);
        };
        let is_gone = known != Lengths::default() && *lengths == Lengths::default();
        if is_gone {
            let path = self.path.display();
            eprintln!(
                "warning: the lines in {path} are gone, somebody moved them away; the run is begun anew"
            );
        }
        Ok((!is_gone).then_some(known))
    }

    /// Writes what is not written yet of this output. After an error, the same output (which may have grown) is to be
    /// written again: it goes on where it stopped, so that no line is torn or doubled.
    pub(super) fn write(&mut self, storage: &mut dyn Storage, output: &RunOutput) -> Result<(), SinkError> {
        for (file, lines) in output.appended() {
            if self.written[file as usize] < lines.len() {
                self.append(storage, file, lines)?;
            }
        }
        for (file, content) in output.replaced() {
            self.replace(storage, file, content)?;
        }
        Ok(())
    }

    /// The output is done with: what is written next is another one.
    pub(super) fn finish_output(&mut self) {
        self.written = [0; File::ALL.len()];
    }

    /// How many files are open.
    pub(super) fn open_files(&self) -> usize {
        self.appended_to.iter().flatten().count()
    }

    /// Closes the files; they are opened again when there is something to append.
    pub(super) fn close_files(&mut self) {
        self.appended_to.fill_with(|| None);
    }

    fn begin(&mut self, storage: &mut dyn Storage, file: File) -> Result<(), SinkError> {
        let path = self.file_path(file);
        match file.shape() {
            Shape::Lines => {
                storage
                    .open_append(&path)
                    .map_err(SinkError::io("create", &path))?;
            }
            Shape::Array => {
                if !storage.exists(&path).map_err(SinkError::io("look for", &path))? {
                    self.replace(storage, file, b"[]\n")?;
                }
            }
            // An empty object would not be a run's description. The pipeline gives the first one when it opens the run.
            Shape::Object => {}
        }
        Ok(())
    }

    fn lengths_on_disk(&self, storage: &mut dyn Storage) -> Result<Lengths, SinkError> {
        lengths_on_disk(storage, &self.path)
    }

    /// Cuts half lines off these files and tells how long they are then.
    fn cut_torn_lines(&self, storage: &mut dyn Storage, files: &[File]) -> Result<Lengths, SinkError> {
        for &file in files.iter().filter(|file| file.shape() == Shape::Lines) {
            let path = self.file_path(file);
            let torn = storage
                .cut_torn_line(&path)
                .map_err(SinkError::io("read the end of", &path))?;
            if torn > 0 {
                eprintln!("warning: cut {torn} bytes of a half line off {}", path.display());
            }
        }
        self.lengths_on_disk(storage)
    }

    fn link(&self, storage: &mut dyn Storage, name: &str, file: File) -> Result<(), SinkError> {
        let target = Path::new(CCTF_FOLDER).join(file.name());
        let link = self.path.join(name);
        match storage.read_link(&link) {
            Ok(found) if found == target => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => storage
                .symlink(&target, &link)
                .map_err(SinkError::io("link", &link)),
            _ => Err(SinkError::InTheWay { path: link }),
        }
    }

    fn append(&mut self, storage: &mut dyn Storage, file: File, lines: &[u8]) -> Result<(), SinkError> {
        let path = self.file_path(file);
        let opened = &mut self.appended_to[file as usize];
        let opened = match opened {
            Some(opened) => opened,
            None => opened.insert(storage.open_append(&path).map_err(SinkError::io("open", &path))?),
        };
        let at = file as usize;
        while self.written[at] < lines.len() {
            let rest = &lines[self.written[at]..];
            let len = if self.ahead[at] > 0 {
                let again = &rest[..rest
                    .len()
                    .min(usize::try_from(self.ahead[at]).unwrap_or(usize::MAX))];
                let offset = self.made[at];
                if !storage
                    .holds(&path, offset, again)
                    .map_err(SinkError::io("read", &path))?
                {
                    return Err(SinkError::Differs { path, offset });
                }
                self.ahead[at] -= again.len() as u64;
                again.len()
            } else {
                match opened.write(rest) {
                    Ok(0) => return Err(SinkError::io("append to", &path)(io::ErrorKind::WriteZero.into())),
                    Ok(len) => len,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                    Err(error) => return Err(SinkError::io("append to", &path)(error)),
                }
            };
            self.dirty[at] = true;
            self.written[at] += len;
            self.made[at] += len as u64;
        }
        Ok(())
    }

    /// Bytes of each file that the pipeline has made.
    pub(super) fn lengths(&self) -> Lengths {
        self.made
    }

    /// Makes what was appended and replaced durable, and all names.
    pub(super) fn sync(&mut self, storage: &mut dyn Storage) -> Result<(), SinkError> {
        if self.names_are_durable && !self.dirty.contains(&true) {
            return Ok(());
        }
        for &file in File::ALL {
            if self.dirty[file as usize] {
                let path = self.file_path(file);
                storage.sync(&path).map_err(SinkError::io(SYNC, &path))?;
                self.dirty[file as usize] = false;
            }
        }
        let mut folders = vec![self.path.join(CCTF_FOLDER)];
        if !self.names_are_durable {
            folders.push(self.path.clone());
            folders.extend(self.path.parent().map(Path::to_owned));
        }
        for folder in folders {
            storage
                .sync_folder(&folder)
                .map_err(SinkError::io(SYNC, &folder))?;
        }
        self.names_are_durable = true;
        Ok(())
    }

    /// The journal has been read to its end: what a file has beyond it, the journal has lost (a power loss without
    /// `fsync`). Whole lines stay, a half one goes.
    pub(super) fn end_recovery(&mut self, storage: &mut dyn Storage) -> Result<(), SinkError> {
        let ahead = std::mem::take(&mut self.ahead);
        let is_ahead = |file: &&File| ahead[**file as usize] > 0;
        let files: Vec<File> = File::ALL.iter().filter(is_ahead).copied().collect();
        if files.is_empty() {
            return Ok(());
        }
        let path = self.path.display();
        eprintln!("warning: {path} has lines that the journal does not tell of; they stay");
        self.made = self.cut_torn_lines(storage, &files)?;
        for file in files {
            self.dirty[file as usize] = true;
        }
        Ok(())
    }

    /// The temporary file lies outside the folder that readers look in, on the same file system.
    fn replace(&mut self, storage: &mut dyn Storage, file: File, content: &[u8]) -> Result<(), SinkError> {
        let temporary = self.path.join(format!(".tmp-{}", file.name()));
        let path = self.file_path(file);
        let mut new = storage
            .create(&temporary)
            .map_err(SinkError::io("create", &temporary))?;
        new.write_all(content)
            .map_err(SinkError::io("write", &temporary))?;
        drop(new);
        self.dirty[file as usize] = true;
        storage
            .rename(&temporary, &path)
            .map_err(SinkError::io("replace", &path))
    }

    fn file_path(&self, file: File) -> PathBuf {
        self.path.join(CCTF_FOLDER).join(file.name())
    }
}

/// How long the files of lines in a run's folder are; those that are replaced whole have no length of interest.
pub(super) fn lengths_on_disk(storage: &mut dyn Storage, path: &Path) -> Result<Lengths, SinkError> {
    let mut lengths = Lengths::default();
    for &file in File::ALL.iter().filter(|file| file.shape() == Shape::Lines) {
        let path = path.join(CCTF_FOLDER).join(file.name());
        let found = storage.len(&path).map_err(SinkError::io("look at", &path))?;
        lengths[file as usize] = found.unwrap_or(0);
    }
    Ok(lengths)
}
