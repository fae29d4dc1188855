//! [`RunFolder`]: one run's files, from the lock on its folder to whole lines and whole snapshots in them.

mod opening;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{File, Shape};
use cctf_proto::log_line;

use super::error::{SYNC, SinkError};
use super::storage::Storage;
use crate::pipeline::RunOutput;

/// The folder that readers look in.
const CCTF_FOLDER: &str = "cctf";
/// Bytes of a file after which the kernel is asked to write it back. Left to itself it collects a gigabyte between two
/// checkpoints, for which the next one, and the journal beside it, would wait all at once.
const WRITEBACK_BYTES: u64 = 8 * 1024 * 1024;

/// The files of one run.
pub(super) struct RunFolder {
    path: PathBuf,
    /// Held, not read: the run is ours until it is dropped.
    _lock: Option<Box<dyn Send>>,
    /// Whether the run had gone on in a later part before a crash: all of it was written, and it may be deleted at any
    /// time. What is made again for it goes nowhere.
    is_superseded: bool,
    /// Whether the last snapshot of the run's description waits beside its place.
    end_is_prepared: bool,
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
    /// The part's number.
    pub number: u64,
    /// Whether the journal is being read again: the files may be ahead of it.
    pub is_recovering: bool,
    /// Whether what the run's folder keeps goes over what is known.
    pub is_base_needed: bool,
    /// Whether the run has gone on in a later part.
    pub is_superseded: bool,
    /// Whether what the files have beyond that is to go.
    pub is_remapped: bool,
}

impl RunFolder {
    /// Writes what is not written yet of this output; of the last one all but [`Self::end`]. After an error, the same
    /// output (which may have grown) is to be written again: it goes on where it stopped, so that no line is torn or
    /// doubled.
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

    /// Makes all durable, and the last snapshot of the run's description beside its place, so that nothing but its name
    /// is left to be changed. That is what a later part stands for: see [`Self::open`].
    fn prepare_end(
        &mut self,
        storage: &mut dyn Storage,
        output: &RunOutput,
        is_durable: bool,
    ) -> Result<(), SinkError> {
        let mut replaced = output.replaced();
        let last = replaced.find(|(file, _)| *file == File::RunMeta);
        // Once the later part may be there, it must not be seen torn.
        if let Some((file, content)) = last.filter(|_| !self.end_is_prepared) {
            self.prepare(storage, file, content, is_durable)?;
            self.names_are_durable = false;
            self.end_is_prepared = true;
        }
        if is_durable { self.sync(storage) } else { Ok(()) }
    }

    /// The last touch: who sees the run's end may delete the folder at once.
    pub(super) fn end(&mut self, storage: &mut dyn Storage, is_durable: bool) -> Result<(), SinkError> {
        if self.end_is_prepared {
            end(storage, &self.path, is_durable)?;
            self.end_is_prepared = false;
        }
        Ok(())
    }

    /// Whether what is made for it goes nowhere.
    pub(super) fn is_superseded(&self) -> bool {
        self.is_superseded
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

    fn append(&mut self, storage: &mut dyn Storage, file: File, lines: &[u8]) -> Result<(), SinkError> {
        let at = file as usize;
        let pieces_before = self.made[at] / WRITEBACK_BYTES;
        while self.written[at] < lines.len() {
            let rest = &lines[self.written[at]..];
            let len = match self.ahead[at] {
                0 => self.append_some(storage, file, rest)?,
                ahead => {
                    let len = rest.len().min(usize::try_from(ahead).unwrap_or(usize::MAX));
                    self.pass_over(storage, file, &rest[..len])?
                }
            };
            self.dirty[at] = true;
            self.written[at] += len;
            self.made[at] += len as u64;
        }
        if self.made[at] / WRITEBACK_BYTES > pieces_before {
            // What could not be asked for is written back all the same, at the checkpoint at the latest.
            let _ = storage.begin_writeback(&self.file_path(file), pieces_before * WRITEBACK_BYTES);
        }
        Ok(())
    }

    /// Passes over what the file has already, if it has just that.
    fn pass_over(&mut self, storage: &mut dyn Storage, file: File, again: &[u8]) -> Result<usize, SinkError> {
        let (path, offset) = (self.file_path(file), self.made[file as usize]);
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
        log_line!("warning: {path} has lines that the journal does not tell of; they stay");
        self.made = self.cut_torn_lines(storage, &files)?;
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
        put_in_place(storage, &self.path, file)
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

/// Outside the folder that readers look in, on the same file system.
fn temporary_path(folder: &Path, file: File) -> PathBuf {
    folder.join(format!(".tmp-{}", file.name()))
}

fn put_in_place(storage: &mut dyn Storage, folder: &Path, file: File) -> Result<(), SinkError> {
    let path = folder.join(CCTF_FOLDER).join(file.name());
    storage
        .rename(&temporary_path(folder, file), &path)
        .map_err(SinkError::io("replace", &path))
}

/// Puts the last snapshot of the run's description, which was prepared, in its place.
fn end(storage: &mut dyn Storage, folder: &Path, is_durable: bool) -> Result<(), SinkError> {
    put_in_place(storage, folder, File::RunMeta)?;
    if !is_durable {
        return Ok(());
    }
    let cctf = folder.join(CCTF_FOLDER);
    match storage.sync_folder(&cctf) {
        // Somebody has seen the end, and deletes it.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SinkError::io(SYNC, &cctf)(error)),
        _ => Ok(()),
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
