//! [`RunFolder`]: one run's files, from the lock on its folder to whole lines and whole snapshots in them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{File, Shape};

use super::error::SinkError;
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
}

/// Bytes of each file of a run.
pub type Lengths = [u64; File::ALL.len()];

impl RunFolder {
    /// Locks the run's folder, making it and all that belongs in it where it is not there yet.
    ///
    /// With `made`, the pipeline has made that many bytes of each file, and what a file has beyond them it will make
    /// again. Without, the folder is taken as it is: a half line at the end of a file is what a crash left; nobody has
    /// read it as a line, and it is cut.
    pub(super) fn open(
        storage: &mut dyn Storage,
        path: PathBuf,
        made: Option<Lengths>,
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
            made: made.unwrap_or_default(),
            ahead: Lengths::default(),
            dirty: [false; File::ALL.len()],
        };
        for &file in File::ALL {
            folder.begin(storage, file, made.is_some())?;
        }
        for (name, file) in LINKS {
            folder.link(storage, name, file)?;
        }
        Ok(folder)
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

    fn begin(&mut self, storage: &mut dyn Storage, file: File, is_resumed: bool) -> Result<(), SinkError> {
        let path = self.file_path(file);
        match file.shape() {
            Shape::Lines => {
                if !is_resumed {
                    cut_torn_line(storage, &path)?;
                }
                storage
                    .open_append(&path)
                    .map_err(SinkError::io("create", &path))?;
                let len = storage
                    .len(&path)
                    .map_err(SinkError::io("look at", &path))?
                    .unwrap_or(0);
                let made = &mut self.made[file as usize];
                if !is_resumed {
                    *made = len;
                }
                self.ahead[file as usize] = len
                    .checked_sub(*made)
                    .ok_or_else(|| SinkError::Differs { path, offset: len })?;
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

    /// Makes what was appended durable, and the names of the files.
    pub(super) fn sync(&mut self, storage: &mut dyn Storage) -> Result<(), SinkError> {
        if !self.dirty.contains(&true) {
            return Ok(());
        }
        for &file in File::ALL {
            if std::mem::take(&mut self.dirty[file as usize]) {
                let path = self.file_path(file);
                storage.sync(&path).map_err(SinkError::io("sync", &path))?;
            }
        }
        let cctf = self.path.join(CCTF_FOLDER);
        storage.sync_folder(&cctf).map_err(SinkError::io("sync", &cctf))
    }

    /// The journal has been read to its end: what a file has beyond it, the journal has lost (a power loss without
    /// `fsync`). Whole lines stay, a half one goes.
    pub(super) fn end_recovery(&mut self, storage: &mut dyn Storage) -> Result<(), SinkError> {
        for &file in File::ALL {
            if std::mem::take(&mut self.ahead[file as usize]) > 0 {
                let path = self.file_path(file);
                eprintln!(
                    "warning: {} has lines that the journal does not tell of",
                    path.display()
                );
                cut_torn_line(storage, &path)?;
                let len = storage.len(&path).map_err(SinkError::io("look at", &path))?;
                self.made[file as usize] = len.unwrap_or(0);
            }
        }
        Ok(())
    }

    /// The temporary file lies outside the folder that readers look in, on the same file system.
    fn replace(&self, storage: &mut dyn Storage, file: File, content: &[u8]) -> Result<(), SinkError> {
        let temporary = self.path.join(format!(".tmp-{}", file.name()));
        let path = self.file_path(file);
        let mut new = storage
            .create(&temporary)
            .map_err(SinkError::io("create", &temporary))?;
        new.write_all(content)
            .map_err(SinkError::io("write", &temporary))?;
        drop(new);
        storage
            .rename(&temporary, &path)
            .map_err(SinkError::io("replace", &path))
    }

    fn file_path(&self, file: File) -> PathBuf {
        self.path.join(CCTF_FOLDER).join(file.name())
    }
}

fn cut_torn_line(storage: &mut dyn Storage, path: &Path) -> Result<(), SinkError> {
    let torn = storage
        .cut_torn_line(path)
        .map_err(SinkError::io("read the end of", path))?;
    if torn > 0 {
        eprintln!("warning: cut {torn} bytes of a half line off {}", path.display());
    }
    Ok(())
}
