//! Opens a [`RunFolder`]: locks it, opens its files, creates its links, and finds the position in each file.

use std::io;
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{FILE_LINKS, File, Shape};
use cctf_proto::log_line;

use super::{CCTF_FOLDER, Journaled, Lengths, RunFolder, end, lengths_on_disk, temporary_path};
use crate::sink::base;
use crate::sink::error::SinkError;
use crate::sink::storage::Storage;

/// This file is locked while the run is written. It is outside of the subfolder for readers.
const LOCK_FILE: &str = ".lock";

impl RunFolder {
    /// Locks the run's folder, and creates the folder and its files if they are missing. If a later part shows that the run has
    /// left this part, at most the end of this part is missing, and is completed. Other missing files were deleted by the user.
    pub(in crate::sink) fn open(
        storage: &mut dyn Storage,
        path: PathBuf,
        journaled: Option<&Journaled>,
    ) -> Result<Self, SinkError> {
        let cctf = path.join(CCTF_FOLDER);
        if let Some(journaled) = journaled.filter(|journaled| journaled.is_superseded) {
            let is_there = storage
                .exists(&cctf)
                .map_err(SinkError::io("check the existence of", &cctf))?;
            if !journaled.is_remapped || !is_there {
                return Self::open_superseded(storage, path);
            }
        }
        storage
            .create_folder(&cctf)
            .map_err(SinkError::io("create folder", &cctf))?;
        let mut folder = Self::lock(storage, path)?;
        folder.find_position(storage, journaled)?;
        for &file in File::ALL {
            folder.begin(storage, file)?;
        }
        for (name, file) in FILE_LINKS {
            folder.link(storage, name, file)?;
        }
        Ok(folder)
    }

    /// Opens a part that the run has left. No lock is needed, because every writer also needs the journal's lock.
    fn open_superseded(storage: &mut dyn Storage, path: PathBuf) -> Result<Self, SinkError> {
        let prepared = temporary_path(&path, File::RunMeta);
        let is_prepared = storage.exists(&prepared);
        if is_prepared.map_err(SinkError::io("check the existence of", &prepared))? {
            end(storage, &path, true)?;
        }
        Ok(Self {
            is_superseded: true,
            ..Self::new(path, None)
        })
    }

    fn lock(storage: &mut dyn Storage, path: PathBuf) -> Result<Self, SinkError> {
        let lock_path = path.join(LOCK_FILE);
        let lock = match storage.lock(&lock_path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(SinkError::Locked { path });
            }
            Err(error) => return Err(SinkError::io("lock", &lock_path)(error)),
        };
        Ok(Self::new(path, Some(lock)))
    }

    fn new(path: PathBuf, lock: Option<Box<dyn Send>>) -> Self {
        Self {
            path,
            _lock: lock,
            is_superseded: false,
            end_is_prepared: false,
            appended_to: std::array::from_fn(|_| None),
            written: [0; File::ALL.len()],
            produced: Lengths::default(),
            ahead: Lengths::default(),
            dirty: [false; File::ALL.len()],
            names_are_durable: false,
        }
    }

    /// Determines which bytes of the files the pipeline has already produced, and which bytes it will recompute. If the journal
    /// does not know the files, they are kept as they are, except that an incomplete last line is removed: it was left by a
    /// crash, and no reader has accepted it.
    fn find_position(
        &mut self,
        storage: &mut dyn Storage,
        journaled: Option<&Journaled>,
    ) -> Result<(), SinkError> {
        let lengths = self.lengths_on_disk(storage)?;
        let produced = match journaled {
            Some(journaled) => self.produced_before(storage, journaled, &lengths)?,
            None => None,
        };
        let Some(produced) = produced else {
            self.produced = self.cut_torn_lines(storage, File::ALL)?;
            return match journaled {
                Some(journaled) => {
                    let base = base::Base {
                        number: journaled.number,
                        lengths: self.produced,
                    };
                    base::write(storage, &self.path, journaled.epoch, &base)
                }
                None => Ok(()),
            };
        };
        self.produced = produced;
        if journaled.is_some_and(|journaled| journaled.is_remapped) {
            return self.truncate(storage, &lengths);
        }
        let may_be_ahead = journaled.is_some_and(|journaled| journaled.is_recovering);
        for &file in File::ALL {
            let (len, produced) = (lengths[file as usize], produced[file as usize]);
            if len < produced || len > produced && !may_be_ahead {
                let (path, offset) = (self.file_path(file), len.min(produced));
                return Err(SinkError::Differs { path, offset });
            }
            self.ahead[file as usize] = len - produced;
        }
        Ok(())
    }

    /// Truncates the files, because another mapping will recompute the later rows.
    fn truncate(&mut self, storage: &mut dyn Storage, lengths: &Lengths) -> Result<(), SinkError> {
        for &file in File::ALL {
            let (path, produced) = (self.file_path(file), self.produced[file as usize]);
            let len = lengths[file as usize];
            if len < produced {
                return Err(SinkError::Differs { path, offset: len });
            }
            if len > produced {
                log_line!(
                    "warning: --remap truncates {} to {produced} bytes",
                    path.display()
                );
                storage
                    .cut(&path, produced)
                    .map_err(SinkError::io("truncate", &path))?;
                self.dirty[file as usize] = true;
            }
        }
        Ok(())
    }

    fn produced_before(
        &self,
        storage: &mut dyn Storage,
        journaled: &Journaled,
        lengths: &Lengths,
    ) -> Result<Option<Lengths>, SinkError> {
        if journaled.is_base_needed
            && let Some(base) = base::read(storage, &self.path, journaled.epoch)?
        {
            return Ok(Some(base.lengths));
        }
        let Some(known) = journaled.known else {
            return Ok(None);
        };
        let is_gone = known != Lengths::default() && *lengths == Lengths::default();
        if is_gone {
            let path = self.path.display();
            log_line!("warning: the files in {path} were moved away; creating the run again");
        }
        Ok((!is_gone).then_some(known))
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
                if !storage
                    .exists(&path)
                    .map_err(SinkError::io("check the existence of", &path))?
                {
                    self.replace(storage, file, b"[]\n", false)?;
                }
            }
            // An empty object would be invalid. The pipeline writes the first run_meta.json when it opens the run.
            Shape::Object => {}
        }
        Ok(())
    }

    fn lengths_on_disk(&self, storage: &mut dyn Storage) -> Result<Lengths, SinkError> {
        lengths_on_disk(storage, &self.path)
    }

    /// Removes incomplete last lines from these files. Returns the lengths of all files.
    pub(super) fn cut_torn_lines(
        &self,
        storage: &mut dyn Storage,
        files: &[File],
    ) -> Result<Lengths, SinkError> {
        for &file in files.iter().filter(|file| file.shape() == Shape::Lines) {
            let path = self.file_path(file);
            let torn = storage
                .cut_torn_line(&path)
                .map_err(SinkError::io("read the end of", &path))?;
            if torn > 0 {
                log_line!(
                    "warning: removed {torn} bytes of a torn last line from {}",
                    path.display()
                );
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
}
