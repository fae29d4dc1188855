//! [`Storage`]: all file system operations of the sink. Tests can make each of them fail.

mod appended;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use appended::Appended;

/// Permissions of files. They are readable by everybody, because users other than the normalizer's often read the results.
const FILE_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o755;
/// Bytes that are read at once when searching for the last line end of a file.
const TAIL_PIECE_BYTES: usize = 64 * 1024;

/// The operations that the sink needs.
pub trait Storage: Send {
    /// Creates a folder and its missing parents.
    fn create_folder(&mut self, path: &Path) -> io::Result<()>;
    fn exists(&mut self, path: &Path) -> io::Result<bool>;
    /// Opens or creates a file to append to.
    fn open_append(&mut self, path: &Path) -> io::Result<Box<dyn Write + Send>>;
    /// Creates or empties a file.
    fn create(&mut self, path: &Path) -> io::Result<Box<dyn Write + Send>>;
    /// Renames a file and replaces an existing one.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;
    fn symlink(&mut self, target: &Path, link: &Path) -> io::Result<()>;
    fn read_link(&mut self, link: &Path) -> io::Result<PathBuf>;
    /// Removes a file or link.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
    /// Locks a file until the result is dropped; [`io::ErrorKind::WouldBlock`] if another process has locked it.
    fn lock(&mut self, path: &Path) -> io::Result<Box<dyn Send>>;
    /// Truncates a file to its last line end and returns the number of removed bytes; 0 without a file.
    fn cut_torn_line(&mut self, path: &Path) -> io::Result<u64>;
    /// The length of a file; `None` if it does not exist.
    fn len(&mut self, path: &Path) -> io::Result<Option<u64>> {
        match fs::metadata(path) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
    /// Whether a file has these bytes at `offset`.
    fn holds(&mut self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<bool> {
        let mut found = vec![0; bytes.len()];
        File::open(path)?.read_exact_at(&mut found, offset)?;
        Ok(found == bytes)
    }
    /// The content of a small file; `None` if it does not exist.
    fn read(&mut self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        use io::ErrorKind::{NotADirectory, NotFound};
        match fs::read(path) {
            Ok(found) => Ok(Some(found)),
            Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
            Err(error) => Err(error),
        }
    }
    /// Truncates a file.
    fn cut(&mut self, path: &Path, len: u64) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.set_len(len)
    }
    fn names(&mut self, path: &Path) -> io::Result<Vec<String>> {
        let name = |entry: io::Result<fs::DirEntry>| Ok(entry?.file_name().to_string_lossy().into_owned());
        fs::read_dir(path)?.map(name).collect()
    }
    /// Asks the kernel to write a file back from `offset` on, without waiting.
    fn begin_writeback(&mut self, path: &Path, offset: u64) -> io::Result<()> {
        let file = File::open(path)?;
        #[cfg(target_os = "linux")]
        {
            let offset = i64::try_from(offset).map_err(io::Error::other)?;
            // SAFETY: the descriptor is open for as long as `file` lives, and the call touches no memory.
            let asked =
                unsafe { libc::sync_file_range(file.as_raw_fd(), offset, 0, libc::SYNC_FILE_RANGE_WRITE) };
            if asked != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (file, offset);
        Ok(())
    }
    /// Makes a file's bytes durable.
    fn sync(&mut self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_data()
    }
    /// Makes a folder's entries durable.
    fn sync_folder(&mut self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// The real file system.
#[derive(Debug, Default)]
pub struct Disk;

impl Storage for Disk {
    fn create_folder(&mut self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)
    }

    fn exists(&mut self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn open_append(&mut self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(FILE_MODE)
            .open(path)?;
        Ok(Box::new(Appended::new(file)?))
    }

    fn create(&mut self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(FILE_MODE);
        Ok(Box::new(options.open(path)?))
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn symlink(&mut self, target: &Path, link: &Path) -> io::Result<()> {
        symlink(target, link)
    }

    fn read_link(&mut self, link: &Path) -> io::Result<PathBuf> {
        fs::read_link(link)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn lock(&mut self, path: &Path) -> io::Result<Box<dyn Send>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(FILE_MODE);
        let file = options.open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn cut_torn_line(&mut self, path: &Path) -> io::Result<u64> {
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let len = file.metadata()?.len();
        let whole = len_of_whole_lines(&mut file, len)?;
        if whole < len {
            file.set_len(whole)?;
        }
        Ok(len - whole)
    }
}

fn len_of_whole_lines(file: &mut File, len: u64) -> io::Result<u64> {
    let mut piece = vec![0; TAIL_PIECE_BYTES];
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(TAIL_PIECE_BYTES as u64);
        let piece = &mut piece[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(piece)?;
        if let Some(last) = piece.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
