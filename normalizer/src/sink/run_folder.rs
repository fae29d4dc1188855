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
}

impl RunFolder {
    /// Locks the run's folder, making it and all that belongs in it where it is not there yet. A half line at the end
    /// of a file is what a crash left: nobody has read it as a line, and it is cut.
    pub(super) fn open(storage: &mut dyn Storage, path: PathBuf) -> Result<Self, SinkError> {
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
        let folder = Self {
            path,
            _lock: lock,
            appended_to: std::array::from_fn(|_| None),
            written: [0; File::ALL.len()],
        };
        for &file in File::ALL {
            folder.begin(storage, file)?;
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

    fn begin(&self, storage: &mut dyn Storage, file: File) -> Result<(), SinkError> {
        let path = self.file_path(file);
        match file.shape() {
            Shape::Lines => {
                let torn = storage
                    .cut_torn_line(&path)
                    .map_err(SinkError::io("read the end of", &path))?;
                if torn > 0 {
                    eprintln!("warning: cut {torn} bytes of a half line off {}", path.display());
                }
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
        let written = &mut self.written[file as usize];
        while *written < lines.len() {
            match opened.write(&lines[*written..]) {
                Ok(0) => return Err(SinkError::io("append to", &path)(io::ErrorKind::WriteZero.into())),
                Ok(len) => *written += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SinkError::io("append to", &path)(error)),
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
