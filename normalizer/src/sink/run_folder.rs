//! [`RunFolder`]: the files of one run. It locks the folder, appends whole lines, and replaces snapshots.

mod opening;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{File, Shape};
use cctf_proto::log_line;

use super::error::{SYNC, SinkError};
use super::storage::Storage;
use crate::pipeline::RunOutput;

/// The subfolder for readers.
const CCTF_FOLDER: &str = "cctf";
/// Number of bytes after which the kernel is asked to write a file back. Otherwise, a gigabyte can accumulate between two
/// checkpoints, and then the next checkpoint and the journal have to wait for it.
const WRITEBACK_BYTES: u64 = 8 * 1024 * 1024;

/// The files of one run.
pub(super) struct RunFolder {
    path: PathBuf,
    /// Keeps the run locked until it is dropped.
    _lock: Option<Box<dyn Send>>,
    /// Whether the run had continued in a later part before a crash. This part is then complete and may be deleted at any time,
    /// so its recomputed rows are discarded.
    is_superseded: bool,
    /// Whether the last `run_meta.json` was written under its temporary name.
    end_is_prepared: bool,
    appended_to: [Option<Box<dyn Write + Send>>; File::ALL.len()],
    /// For each file: bytes of the current output that are already written.
    written: [usize; File::ALL.len()],
    /// For each file: bytes that the pipeline has produced.
    produced: Lengths,
    /// For each file: further bytes that were written before a crash. They are recomputed and must not be written twice.
    ahead: Lengths,
    /// Whether a file has bytes that may not be durable.
    dirty: [bool; File::ALL.len()],
    /// Whether the names of the files and of the folders are durable.
    names_are_durable: bool,
}

/// Lengths of a run's files.
pub type Lengths = [u64; File::ALL.len()];

/// Facts that the journal has about a run that is being opened.
pub(super) struct Journaled {
    /// For each file: bytes that the journal has produced.
    pub known: Option<Lengths>,
    /// Epoch of the checkpoint on the disk.
    pub epoch: u64,
    /// The part's number.
    pub number: u64,
    /// Whether the journal is being replayed, so that the files can contain later lines.
    pub is_recovering: bool,
    /// Whether the base in the run's folder takes precedence over `known`.
    pub is_base_needed: bool,
    /// Whether the run has continued in a later part.
    pub is_superseded: bool,
    /// Whether files with later lines must be truncated, because another mapping will recompute these lines.
    pub is_remapped: bool,
}

impl RunFolder {
    /// Writes the rest of this output. [`Self::end`] must follow the last output of the run or part. After an error, call this
    /// again with the same output, which may have grown. It continues where it stopped, so that no line is incomplete or
    /// duplicated.
    pub(super) fn write(
        &mut self,
        storage: &mut dyn Storage,
        output: &RunOutput,
        is_durable: bool,
    ) -> Result<(), SinkError> {
        if self.is_superseded {
            return Ok(());
        }
        for (file, lines) in output.appended() {
            if self.written[file as usize] < lines.len() {
                self.append(storage, file, lines)?;
            }
        }
        let is_last = output.closed || output.rolled_to.is_some();
        for (file, content) in output.replaced() {
            if file != File::RunMeta || !is_last {
                self.replace(storage, file, content, false)?;
            }
        }
        if is_last {
            self.prepare_end(storage, output, is_durable)?;
        }
        Ok(())
    }

    /// Makes everything durable and writes the last `run_meta.json` under its temporary name. Only a rename is left to do. If a
    /// later part exists, this step is done: see [`Self::open`].
    fn prepare_end(
        &mut self,
        storage: &mut dyn Storage,
        output: &RunOutput,
        is_durable: bool,
    ) -> Result<(), SinkError> {
        let mut replaced = output.replaced();
        let last = replaced.find(|(file, _)| *file == File::RunMeta);
        // From the moment at which a later part may exist, this file must always be complete.
        if let Some((file, content)) = last.filter(|_| !self.end_is_prepared) {
            self.prepare(storage, file, content, is_durable)?;
            self.names_are_durable = false;
            self.end_is_prepared = true;
        }
        if is_durable { self.sync(storage) } else { Ok(()) }
    }

    /// Makes the last change. A reader that sees the end of the run may delete the folder at once.
    pub(super) fn end(&mut self, storage: &mut dyn Storage, is_durable: bool) -> Result<(), SinkError> {
        if self.end_is_prepared {
            end(storage, &self.path, is_durable)?;
            self.end_is_prepared = false;
        }
        Ok(())
    }

    pub(super) fn is_superseded(&self) -> bool {
        self.is_superseded
    }

    /// Ends the current output. The next write starts a new one.
    pub(super) fn finish_output(&mut self) {
        self.written = [0; File::ALL.len()];
    }

    pub(super) fn open_files(&self) -> usize {
        self.appended_to.iter().flatten().count()
    }

    /// Closes the files. The next append opens them again.
    pub(super) fn close_files(&mut self) {
        self.appended_to.fill_with(|| None);
    }

    fn append(&mut self, storage: &mut dyn Storage, file: File, lines: &[u8]) -> Result<(), SinkError> {
        let index = file as usize;
        let pieces_before = self.produced[index] / WRITEBACK_BYTES;
        while self.written[index] < lines.len() {
            let rest = &lines[self.written[index]..];
            let len = match self.ahead[index] {
                0 => self.append_some(storage, file, rest)?,
                ahead => {
                    let len = rest.len().min(usize::try_from(ahead).unwrap_or(usize::MAX));
                    self.skip_present(storage, file, &rest[..len])?
                }
            };
            self.dirty[index] = true;
            self.written[index] += len;
            self.produced[index] += len as u64;
        }
        if self.produced[index] / WRITEBACK_BYTES > pieces_before {
            // If this fails, the kernel writes the file back at the next checkpoint at the latest.
            let _ = storage.begin_writeback(&self.file_path(file), pieces_before * WRITEBACK_BYTES);
        }
        Ok(())
    }

    /// Skips bytes that the file already contains. It is an error if the file contains other bytes.
    fn skip_present(
        &mut self,
        storage: &mut dyn Storage,
        file: File,
        again: &[u8],
    ) -> Result<usize, SinkError> {
        let (path, offset) = (self.file_path(file), self.produced[file as usize]);
        if !storage
            .holds(&path, offset, again)
            .map_err(SinkError::io("read", &path))?
        {
            return Err(SinkError::Differs { path, offset });
        }
        self.ahead[file as usize] -= again.len() as u64;
        Ok(again.len())
    }

    fn append_some(
        &mut self,
        storage: &mut dyn Storage,
        file: File,
        rest: &[u8],
    ) -> Result<usize, SinkError> {
        let path = self.file_path(file);
        let opened = &mut self.appended_to[file as usize];
        let opened = match opened {
            Some(opened) => opened,
            None => opened.insert(storage.open_append(&path).map_err(SinkError::io("open", &path))?),
        };
        match opened.write(rest) {
            Ok(0) => Err(SinkError::io("append to", &path)(io::ErrorKind::WriteZero.into())),
            Ok(len) => Ok(len),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(error) => Err(SinkError::io("append to", &path)(error)),
        }
    }

    /// Bytes of each file that the pipeline has produced.
    pub(super) fn lengths(&self) -> Lengths {
        self.produced
    }

    /// Makes all bytes and folder entries durable.
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

    /// Ends the recovery. If a file has more bytes than the journal gives, the journal has lost records (a power loss without
    /// `fsync`). Complete lines are kept, and an incomplete line is removed.
    pub(super) fn end_recovery(&mut self, storage: &mut dyn Storage) -> Result<(), SinkError> {
        let ahead = std::mem::take(&mut self.ahead);
        let is_ahead = |file: &&File| ahead[**file as usize] > 0;
        let files: Vec<File> = File::ALL.iter().filter(is_ahead).copied().collect();
        if files.is_empty() {
            return Ok(());
        }
        let path = self.path.display();
        log_line!("warning: {path} contains lines that are not in the journal; keeping them");
        self.produced = self.cut_torn_lines(storage, &files)?;
        for file in files {
            self.dirty[file as usize] = true;
        }
        Ok(())
    }

    fn replace(
        &mut self,
        storage: &mut dyn Storage,
        file: File,
        content: &[u8],
        is_durable: bool,
    ) -> Result<(), SinkError> {
        self.prepare(storage, file, content, is_durable)?;
        self.dirty[file as usize] = true;
        rename_into_place(storage, &self.path, file)
    }

    fn prepare(
        &self,
        storage: &mut dyn Storage,
        file: File,
        content: &[u8],
        is_durable: bool,
    ) -> Result<(), SinkError> {
        let temporary = temporary_path(&self.path, file);
        let mut new = storage
            .create(&temporary)
            .map_err(SinkError::io("create", &temporary))?;
        new.write_all(content)
            .map_err(SinkError::io("write", &temporary))?;
        drop(new);
        if is_durable {
            storage
                .sync(&temporary)
                .map_err(SinkError::io(SYNC, &temporary))?;
        }
        Ok(())
    }

    fn file_path(&self, file: File) -> PathBuf {
        self.path.join(CCTF_FOLDER).join(file.name())
    }
}

/// A path outside of the subfolder for readers, on the same file system.
fn temporary_path(folder: &Path, file: File) -> PathBuf {
    folder.join(format!(".tmp-{}", file.name()))
}

fn rename_into_place(storage: &mut dyn Storage, folder: &Path, file: File) -> Result<(), SinkError> {
    let path = folder.join(CCTF_FOLDER).join(file.name());
    storage
        .rename(&temporary_path(folder, file), &path)
        .map_err(SinkError::io("replace", &path))
}

/// Renames the prepared last `run_meta.json`.
fn end(storage: &mut dyn Storage, folder: &Path, is_durable: bool) -> Result<(), SinkError> {
    rename_into_place(storage, folder, File::RunMeta)?;
    if !is_durable {
        return Ok(());
    }
    let cctf = folder.join(CCTF_FOLDER);
    match storage.sync_folder(&cctf) {
        // A reader may already have seen the end and deleted the folder.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SinkError::io(SYNC, &cctf)(error)),
        _ => Ok(()),
    }
}

/// Lengths of the line files in a run's folder; 0 for files that are replaced as a whole.
pub(super) fn lengths_on_disk(storage: &mut dyn Storage, path: &Path) -> Result<Lengths, SinkError> {
    let mut lengths = Lengths::default();
    for &file in File::ALL.iter().filter(|file| file.shape() == Shape::Lines) {
        let path = path.join(CCTF_FOLDER).join(file.name());
        let found = storage
            .len(&path)
            .map_err(SinkError::io("read the length of", &path))?;
        lengths[file as usize] = found.unwrap_or(0);
    }
    Ok(lengths)
}
