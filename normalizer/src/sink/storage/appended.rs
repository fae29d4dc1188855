//! [`Appended`]: a file that lines are appended to. Disk space is reserved beyond its end, because the kernel then finds room
//! for many writes at once. A reader sees no difference: the length of the file does not change.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;

use disk::reserve::reserve;

/// Minimum length of a file for which space is reserved. A small run must not occupy more space than it needs.
const RESERVED_FROM_BYTES: u64 = 1 << 20;
/// Maximum space reserved at once. If the process is killed, the file keeps this space until another process has opened the
/// file and closes it.
const RESERVED_BYTES_MAX: u64 = 8 << 20;
/// Minimum space beyond the end that counts as left by a killed process. A file system's own blocks are less.
const LEFT_BYTES_MIN: u64 = 256 << 10;
/// Unit of [`MetadataExt::blocks`], bytes.
const BLOCK_BYTES: u64 = 512;

pub struct Appended {
    file: File,
    /// Length of the file, unless another process changes it.
    len: u64,
    /// End of the reserved space.
    reserved: u64,
}

impl Appended {
    pub fn new(file: File) -> io::Result<Self> {
        let found = file.metadata()?;
        let (len, beyond) = (found.len(), space_beyond_end(&found));
        let left = if beyond < LEFT_BYTES_MIN { 0 } else { beyond };
        Ok(Self {
            file,
            len,
            reserved: len + left,
        })
    }

    /// Reserves space if the next `bytes` do not fit. A failure is ignored: a write can find its space itself.
    fn reserve(&mut self, bytes: u64) {
        let end = self.len.saturating_add(bytes);
        if end <= self.reserved || end < RESERVED_FROM_BYTES {
            return;
        }
        let target = end.saturating_add(end.min(RESERVED_BYTES_MAX));
        reserve(&self.file, self.len, target - self.len);
        // This is also set after a failure, because another attempt at each write would cost more than it saves.
        self.reserved = target;
    }
}

fn space_beyond_end(found: &Metadata) -> u64 {
    (found.blocks() * BLOCK_BYTES).saturating_sub(found.len())
}

impl Write for Appended {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.reserve(bytes.len() as u64);
        let written = self.file.write(bytes)?;
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Appended {
    /// Gives back the space that was not used. Truncating a file to its own length does this.
    fn drop(&mut self) {
        if self.reserved > self.len
            && let Ok(found) = self.file.metadata()
        {
            // If this fails, the file only occupies more space than it needs.
            let _ = self.file.set_len(found.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::path::Path;

    use super::*;

    const PIECE: &[u8] = &[b'x'; 300_000];

    fn open(path: &Path) -> Appended {
        let file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        Appended::new(file).unwrap()
    }

    fn metadata(path: &Path) -> Metadata {
        std::fs::metadata(path).unwrap()
    }

    #[test]
    fn a_closed_file_has_its_bytes_and_no_reserved_space() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let mut file = open(&path);
        for pieces in 1..=10 {
            file.write_all(PIECE).unwrap();
            assert_eq!(metadata(&path).len(), pieces * PIECE.len() as u64);
        }
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), PIECE.repeat(10));
        assert!(space_beyond_end(&metadata(&path)) < LEFT_BYTES_MIN);
    }

    #[test]
    fn space_left_by_a_killed_process_is_given_back_at_the_next_close() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let mut file = open(&path);
        file.write_all(&PIECE.repeat(10)).unwrap();
        // The kernel closes a killed process's files; no destructor runs.
        std::mem::forget(file);
        let is_reserved = space_beyond_end(&metadata(&path)) >= LEFT_BYTES_MIN;
        drop(open(&path));
        assert_eq!(std::fs::read(&path).unwrap(), PIECE.repeat(10));
        assert!(space_beyond_end(&metadata(&path)) < LEFT_BYTES_MIN);
        assert!(
            is_reserved,
            "the folder for temporary files needs 1 GiB of free space"
        );
    }

    #[test]
    fn a_file_that_was_cut_meanwhile_stays_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let mut file = open(&path);
        file.write_all(&PIECE.repeat(7)).unwrap();
        OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(100)
            .unwrap();
        file.write_all(b"end").unwrap();
        drop(file);
        assert_eq!(metadata(&path).len(), 103);
    }
}
