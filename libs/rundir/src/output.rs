//! [`OutFolder`]: a new run folder, which appears complete by one rename.

use std::fs::{self, File, TryLockError};
use std::io::{BufWriter, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;
use cctf_proto::cctf::FILE_LINKS;
use disk::aligned::AlignedBuffer;
use disk::large::LargeFile;

use crate::{CCTF, NORMALIZER_LOCK, UsageError};

/// Permissions of a new file, before the process's umask is applied.
const NEW_FILE_MODE: u32 = 0o666;
/// Bytes per write.
const WRITE_BYTES: usize = 256 << 10;
/// Bytes of lines per write. Past the page cache, large writes cost less: one of 1 MiB takes half the CPU time of four of 256 KiB.
const LINES_BYTES: usize = 1 << 20;
/// A lock on this file means that another process is writing to the same path.
const LOCK: &str = "lock";

/// A folder in progress, hidden beside its final path.
pub struct OutFolder {
    target: PathBuf,
    parent: PathBuf,
    hidden: PathBuf,
    _lock: File,
}

impl OutFolder {
    /// Starts a folder that becomes `target`, which must not exist. Removes leftovers of a killed process that was writing to
    /// the same path.
    ///
    /// # Errors
    /// A [`UsageError`] if `target` exists or is impossible; otherwise an I/O error.
    pub fn create(target: &Path) -> anyhow::Result<Self> {
        let usage = |text: String| anyhow::Error::from(UsageError(text));
        let name = target.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
            usage(format!(
                "invalid path {}: it has no folder name",
                target.display()
            ))
        })?;
        refuse_existing(target)?;
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        fs::create_dir_all(&parent)
            .map_err(|error| usage(format!("cannot create {}: {error}", parent.display())))?;
        let hidden = parent.join(format!(".{name}.partial"));
        make(&hidden)?;
        let lock = File::create(hidden.join(LOCK))
            .with_context(|| format!("cannot write to {}", hidden.display()))?;
        // SAFETY: the descriptor is open as long as `lock` is.
        if unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            return Err(usage(format!(
                "cannot create {}: another process is writing it; wait for that process or choose another path",
                target.display()
            )));
        }
        for entry in fs::read_dir(&hidden).with_context(|| format!("cannot read {}", hidden.display()))? {
            let entry = entry.with_context(|| format!("cannot read {}", hidden.display()))?;
            if entry.file_name() != LOCK {
                let path = entry.path();
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let gone = if is_folder {
                    fs::remove_dir_all(&path)
                } else {
                    fs::remove_file(&path)
                };
                gone.with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        Ok(Self {
            target: target.to_owned(),
            parent,
            hidden,
            _lock: lock,
        })
    }

    /// The folder for temporary files.
    pub fn scratch(&self) -> &Path {
        &self.hidden
    }

    /// The run folder in progress.
    pub fn run(&self) -> PathBuf {
        self.hidden.join("run")
    }

    /// Moves the run folder to its final path, with the links of a run. All of its files must be complete and durable.
    ///
    /// # Errors
    /// An I/O error.
    pub fn finish(self) -> anyhow::Result<()> {
        complete(&self.run())?;
        self.rename()
    }

    /// Like [`OutFolder::finish`], for a folder that contains several run folders (the parts of a run).
    ///
    /// # Errors
    /// An I/O error.
    pub fn finish_parts(self, names: &[String]) -> anyhow::Result<()> {
        for name in names {
            complete(&self.run().join(name))?;
        }
        sync(&self.run())?;
        self.rename()
    }

    /// Like [`OutFolder::finish`], for a folder that is not a run, so it gets no links. All of its files must be complete and
    /// durable.
    ///
    /// # Errors
    /// An I/O error.
    pub fn finish_folder(self) -> anyhow::Result<()> {
        sync_all(&self.run())?;
        self.rename()
    }

    fn rename(&self) -> anyhow::Result<()> {
        fs::rename(self.run(), &self.target)
            .with_context(|| format!("cannot rename the result to {}", self.target.display()))?;
        sync(&self.parent)
    }
}

/// Refuses a path at which something exists.
///
/// # Errors
/// If something exists there.
pub fn refuse_existing(target: &Path) -> Result<(), UsageError> {
    match fs::symlink_metadata(target) {
        Err(_) => Ok(()),
        Ok(_) => Err(UsageError(format!(
            "cannot create {}: it already exists; choose another path for the result",
            target.display()
        ))),
    }
}

/// Adds the links with older file names to a run folder, and makes it durable.
fn complete(run: &Path) -> anyhow::Result<()> {
    for (name, file) in FILE_LINKS {
        let link = run.join(name);
        symlink(format!("cctf/{}", file.name()), &link)
            .with_context(|| format!("cannot create {}", link.display()))?;
    }
    for folder in [&run.join(CCTF), run] {
        sync(folder)?;
    }
    Ok(())
}

impl Drop for OutFolder {
    fn drop(&mut self) {
        // The next process that writes to this path removes whatever remains.
        let _ = fs::remove_dir_all(&self.hidden);
    }
}

/// A file of lines in progress. Nobody reads it yet, so its lines go past the page cache.
pub struct LinesOut {
    path: PathBuf,
    file: LargeFile,
    buffer: AlignedBuffer,
    lines: u64,
    /// Total length of the lines so far, bytes.
    pub bytes: u64,
}

impl LinesOut {
    /// Creates the file.
    ///
    /// # Errors
    /// An I/O error.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file: LargeFile::new(file),
            buffer: AlignedBuffer::new(LINES_BYTES + LINES_BYTES / 16),
            lines: 0,
            bytes: 0,
        })
    }

    /// Writes a line. `line` must not contain its newline.
    ///
    /// # Errors
    /// An I/O error.
    pub fn write(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.write_with(|buffer| {
            buffer.extend_from_slice(line);
            Ok(())
        })
    }

    /// Writes the line that `append` adds to the buffer, which avoids a copy.
    ///
    /// # Errors
    /// An error of `append`, or an I/O error.
    #[inline]
    pub fn write_with(
        &mut self,
        append: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let before = self.buffer.len();
        let bytes = self.buffer.vec();
        append(bytes)?;
        bytes.push(b'\n');
        self.lines += 1;
        self.bytes += (self.buffer.len() - before) as u64;
        if self.buffer.len() >= LINES_BYTES {
            let written = self.file.write_blocks(&mut self.buffer);
            written.with_context(|| format!("cannot write {}", self.path.display()))?;
        }
        Ok(())
    }

    /// Makes the file durable and returns its number of lines.
    ///
    /// # Errors
    /// An I/O error.
    pub fn finish(mut self) -> anyhow::Result<u64> {
        let finished = self.file.finish(&mut self.buffer);
        finished.with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(self.lines)
    }
}

/// Writes a complete file and makes it durable.
///
/// # Errors
/// An I/O error.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Replaces a file with a complete new one by a rename, so that readers never see an incomplete file. If the path is a link,
/// its target is replaced. The permissions of an existing file are kept.
///
/// # Errors
/// An I/O error. In that case the old file is unchanged and no other file remains.
pub fn replace_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    replace_with(path, |file| file.write_all(bytes)).map(drop)
}

/// Like [`replace_whole`], for content that `write` writes in pieces. Returns the number of bytes.
///
/// # Errors
/// An error of `write`, or another I/O error.
pub fn replace_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
) -> anyhow::Result<u64> {
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let bytes = replace(path, folder, write).with_context(|| format!("cannot write {}", path.display()))?;
    sync(folder)?;
    Ok(bytes)
}

fn replace(
    path: &Path,
    folder: &Path,
    write: impl FnOnce(&mut BufWriter<&File>) -> std::io::Result<()>,
) -> std::io::Result<u64> {
    let new = tempfile::Builder::new()
        .prefix(".cctf-")
        .permissions(fs::Permissions::from_mode(NEW_FILE_MODE))
        .tempfile_in(folder)
        // The text of the error contains the name of the temporary file, which would only confuse a user. So only its kind is
        // kept.
        .map_err(|error| std::io::Error::from(error.kind()))?;
    if let Ok(existing) = fs::metadata(path) {
        new.as_file().set_permissions(existing.permissions())?;
    }
    let mut buffered = BufWriter::with_capacity(WRITE_BYTES, new.as_file());
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    new.as_file().sync_all()?;
    let bytes = new.as_file().metadata()?.len();
    new.persist(path).map_err(|failed| failed.error)?;
    Ok(bytes)
}

/// Locks a run folder as a normalizer does; `None` if another process holds the lock. If no normalizer wrote the run, it has no
/// lock file, and none is created.
///
/// # Errors
/// An I/O error.
pub fn lock_run(run: &Path) -> anyhow::Result<Option<RunLock>> {
    let path = run.join(NORMALIZER_LOCK);
    let opened = match File::open(&path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Some(RunLock { _file: None }));
        }
        Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
    };
    match opened.try_lock() {
        Ok(()) => Ok(Some(RunLock { _file: Some(opened) })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// A locked run folder, until it is dropped.
pub struct RunLock {
    _file: Option<File>,
}

fn make(folder: &Path) -> anyhow::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(UsageError(format!("cannot create {}: {error}", folder.display())).into())
        }
        _ => fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("cannot create {}", folder.display())),
    }
}

fn sync(folder: &Path) -> anyhow::Result<()> {
    File::open(folder)
        .and_then(|opened| opened.sync_all())
        .with_context(|| format!("cannot sync {}", folder.display()))
}

/// Makes a folder and the folders below it durable.
fn sync_all(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sync_all(&entry.path())?;
        }
    }
    sync(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_through_a_link_and_keeps_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        symlink(&file, &link).unwrap();
        replace_whole(&file, b"first").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        for (path, text) in [(&file, "second"), (&link, "third")] {
            replace_whole(path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
        assert!(link.is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_replaced_is_named_and_no_other_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let full = folder.path().join("folder");
        fs::create_dir_all(full.join("content")).unwrap();
        for path in [full, folder.path().join("none/file")] {
            let error = format!("{:#}", replace_whole(&path, b"text").unwrap_err());
            let begin = format!("cannot write {}: ", path.display());
            assert!(error.starts_with(&begin) && !error.contains(".cctf-"), "{error}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
