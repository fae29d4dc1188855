//! [`LargeFile`]: a new file that grows to a large size. Its whole blocks go past the page cache.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::BLOCK_BYTES;
use crate::aligned::AlignedBuffer;
use crate::direct::{is_unsupported, set_direct};
use crate::reserve::reserve;

/// Space reserved at once, bytes.
const RESERVED_BYTES: u64 = 8 << 20;

/// A file that is written from its beginning.
#[derive(Debug)]
pub struct LargeFile {
    file: File,
    written: u64,
    /// End of the reserved space.
    reserved: u64,
    mode: Mode,
}

/// How bytes reach the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing is written yet.
    New,
    Direct,
    /// Through the page cache: the file system has no direct writes.
    Cached,
}

impl LargeFile {
    /// `file` must be empty.
    pub fn new(file: File) -> Self {
        Self {
            file,
            written: 0,
            reserved: 0,
            mode: Mode::New,
        }
    }

    /// Writes all whole blocks and removes them from `bytes`. A file system without direct writes gets all bytes.
    ///
    /// # Errors
    /// An I/O error.
    pub fn write_blocks(&mut self, bytes: &mut AlignedBuffer) -> io::Result<()> {
        if self.mode == Mode::New {
            self.mode = match set_direct(&self.file, true) {
                Ok(()) => Mode::Direct,
                Err(_) => Mode::Cached,
            };
        }
        if self.mode == Mode::Cached {
            return self.write_all(bytes);
        }
        let blocks = bytes.len() / BLOCK_BYTES * BLOCK_BYTES;
        self.reserve(blocks as u64);
        match self.file.write_all_at(&bytes.aligned()[..blocks], self.written) {
            Ok(()) => {
                self.written += blocks as u64;
                bytes.remove(blocks);
                Ok(())
            }
            Err(error) if is_unsupported(&error) => {
                set_direct(&self.file, false)?;
                self.mode = Mode::Cached;
                self.write_all(bytes)
            }
            Err(error) => Err(error),
        }
    }

    fn reserve(&mut self, bytes: u64) {
        let end = self.written + bytes;
        if end > self.reserved {
            self.reserved = end + RESERVED_BYTES;
            reserve(&self.file, self.written, self.reserved - self.written);
        }
    }

    fn write_all(&mut self, bytes: &mut AlignedBuffer) -> io::Result<()> {
        let len = bytes.len();
        self.file.write_all_at(bytes.aligned(), self.written)?;
        self.written += len as u64;
        bytes.remove(len);
        Ok(())
    }

    /// Writes the rest and makes the file durable.
    ///
    /// # Errors
    /// An I/O error.
    pub fn finish(mut self, rest: &mut AlignedBuffer) -> io::Result<()> {
        if self.mode == Mode::Direct {
            set_direct(&self.file, false)?;
        }
        self.write_all(rest)?;
        if self.reserved > self.written {
            // Gives back the space that was not used. If this fails, the file only occupies more space than it needs.
            let _ = self.file.set_len(self.written);
        }
        self.file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    use super::*;
    use proptest::prelude::*;

    /// A file system in memory, whose direct writes have other limits than those of a disk, or are missing.
    const IN_MEMORY: &str = "/dev/shm";

    fn check(folder: &Path, pieces: &[usize]) {
        let path = folder.join("large");
        let mut file = LargeFile::new(File::create(&path).unwrap());
        let mut buffer = AlignedBuffer::new(0);
        let mut expected = Vec::new();
        for (number, len) in pieces.iter().enumerate() {
            let piece = vec![number as u8; *len];
            buffer.vec().extend_from_slice(&piece);
            expected.extend_from_slice(&piece);
            file.write_blocks(&mut buffer).unwrap();
            assert!(buffer.len() < BLOCK_BYTES);
        }
        file.finish(&mut buffer).unwrap();
        assert!(std::fs::read(&path).unwrap() == expected);
        let occupied = std::fs::metadata(&path).unwrap().blocks() * 512;
        assert!(
            occupied < expected.len() as u64 + RESERVED_BYTES / 2,
            "{occupied}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pieces_of_any_length_are_in_the_file_in_order(pieces in proptest::collection::vec(0..40_000_usize, 0..20)) {
            check(tempfile::tempdir().unwrap().path(), &pieces);
            if Path::new(IN_MEMORY).exists() {
                check(tempfile::tempdir_in(IN_MEMORY).unwrap().path(), &pieces);
            }
        }
    }

    #[test]
    fn blocks_are_written_past_the_cache_or_all_through_it() {
        let file = tempfile::tempfile().unwrap();
        let mut large = LargeFile::new(file);
        let mut buffer = AlignedBuffer::new(0);
        buffer.vec().extend_from_slice(&[7; 3 * BLOCK_BYTES + 1]);
        large.write_blocks(&mut buffer).unwrap();
        assert_eq!(buffer.len(), if large.mode == Mode::Direct { 1 } else { 0 });
    }

    #[test]
    fn a_full_disk_is_an_error_and_nothing_is_removed() {
        let mut large = LargeFile::new(File::options().write(true).open("/dev/full").unwrap());
        let mut buffer = AlignedBuffer::new(0);
        buffer.vec().extend_from_slice(&[7; BLOCK_BYTES]);
        let error = large.write_blocks(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(buffer.len(), BLOCK_BYTES);
    }
}
