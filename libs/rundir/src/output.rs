//! [`OutFolder`]: a new run folder, which appears by one rename.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;
use cctf_proto::cctf::FILE_LINKS;

use crate::UsageError;

/// Bytes written at once.
const WRITE_BYTES: usize = 256 << 10;
/// The file whose lock shows that another process writes to the same place.
const LOCK: &str = "lock";

/// A folder in progress: hidden, beside its final place.
pub struct OutFolder {
    target: PathBuf,
    parent: PathBuf,
    hidden: PathBuf,
    _lock: File,
}

impl OutFolder {
    /// Starts a folder that becomes `target`, which must not exist. Removes the leftovers of a killed process that wrote to
    /// the same place.
    ///
    /// # Errors
    /// A [`UsageError`] if `target` is taken or impossible; else the system's.
    pub fn create(target: &Path) -> anyhow::Result<Self> {
        let usage = |text: String| anyhow::Error::from(UsageError(text));
        let name = target
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| usage(format!("invalid folder {}: it has no name", target.display())))?;
        if fs::symlink_metadata(target).is_ok() {
            return Err(usage(format!(
                "{} already exists; choose another place for the result",
                target.display()
            )));
        }
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        fs::create_dir_all(&parent)
            .map_err(|error| usage(format!("cannot make {}: {error}", parent.display())))?;
        let hidden = parent.join(format!(".{name}.partial"));
        make(&hidden)?;
        let lock =
            File::create(hidden.join(LOCK)).with_context(|| format!("write to {}", hidden.display()))?;
        // SAFETY: the descriptor is open as long as `lock` is.
        if unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
            return Err(usage(format!(
                "another process is writing {}; wait for it, or choose another place",
                target.display()
            )));
        }
        for entry in fs::read_dir(&hidden).with_context(|| format!("read {}", hidden.display()))? {
            let entry = entry.with_context(|| format!("read {}", hidden.display()))?;
            if entry.file_name() != LOCK {
                let path = entry.path();
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                let gone = if is_folder {
                    fs::remove_dir_all(&path)
                } else {
                    fs::remove_file(&path)
                };
                gone.with_context(|| format!("remove {}", path.display()))?;
            }
        }
        Ok(Self {
            target: target.to_owned(),
            parent,
            hidden,
            _lock: lock,
        })
    }

    /// A folder for temporary files.
    pub fn scratch(&self) -> &Path {
        &self.hidden
    }

    /// The run's folder in progress.
    pub fn run(&self) -> PathBuf {
        self.hidden.join("run")
    }

    /// Moves the folder to its place. All of its files must be written and durable.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(self) -> anyhow::Result<()> {
        for (name, file) in FILE_LINKS {
            let link = self.run().join(name);
            symlink(format!("cctf/{}", file.name()), &link)
                .with_context(|| format!("make {}", link.display()))?;
        }
        for folder in [self.run().join("cctf"), self.run()] {
            sync(&folder)?;
        }
        fs::rename(self.run(), &self.target)
            .with_context(|| format!("rename the result to {}", self.target.display()))?;
        sync(&self.parent)
    }
}

impl Drop for OutFolder {
    fn drop(&mut self) {
        // Whatever cannot be removed here is removed by the next process that writes to this place.
        let _ = fs::remove_dir_all(&self.hidden);
    }
}

/// A file of lines in progress.
pub struct LinesOut {
    path: PathBuf,
    file: File,
    held: Vec<u8>,
    lines: u64,
    /// Bytes of its lines so far.
    pub bytes: u64,
}

impl LinesOut {
    /// Creates the file.
    ///
    /// # Errors
    /// The system's.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("write {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            held: Vec::with_capacity(WRITE_BYTES + (8 << 10)),
            lines: 0,
            bytes: 0,
        })
    }

    /// Writes a line.
    ///
    /// # Errors
    /// The system's.
    pub fn write(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.write_with(|held| {
            held.extend_from_slice(line);
            Ok(())
        })
    }

    /// Writes the line that `append` appends, without a copy.
    ///
    /// # Errors
    /// Those of `append`, and the system's.
    #[inline]
    pub fn write_with(
        &mut self,
        append: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let before = self.held.len();
        append(&mut self.held)?;
        self.held.push(b'\n');
        self.lines += 1;
        self.bytes += (self.held.len() - before) as u64;
        if self.held.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let written = self.file.write_all(&self.held);
        written.with_context(|| format!("write {}", self.path.display()))?;
        self.held.clear();
        Ok(())
    }

    /// Makes it durable and returns its number of lines.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(mut self) -> anyhow::Result<u64> {
        self.flush()?;
        let synced = self.file.sync_all();
        synced.with_context(|| format!("write {}", self.path.display()))?;
        Ok(self.lines)
    }
}

/// Writes a complete file and makes it durable.
///
/// # Errors
/// The system's.
pub fn write_whole(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .with_context(|| format!("write {}", path.display()))
}

fn make(folder: &Path) -> anyhow::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(UsageError(format!("cannot make {}: {error}", folder.display())).into())
        }
        _ => fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
            .with_context(|| format!("make {}", folder.display())),
    }
}

fn sync(folder: &Path) -> anyhow::Result<()> {
    File::open(folder)
        .and_then(|opened| opened.sync_all())
        .with_context(|| format!("sync {}", folder.display()))
}
