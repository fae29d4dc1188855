//! [`RootFile`]: the sorted roots in a temporary file. It can be read any number of times, from the start or from a given time.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use cctf_sort::chunks::Appender;
use cctf_sort::scratch::{CANNOT_READ, unnamed_file};

use super::codec::{Draft, Tables, decode};
use super::error::RootsError;
use super::root::Root;

/// Bytes that an iterator reads at once: some thousand roots.
const READ_BYTES: usize = 64 << 10;
/// Bytes of the length before each record.
const HEAD_BYTES: usize = 4;

/// Roots in order of time. The index takes 16 bytes for each 64 KiB of the file: 0.3 MiB for ten million roots.
pub struct RootFile {
    file: File,
    /// Length, bytes.
    end: u64,
    index: Index,
    tables: Tables,
}

/// Writes a [`RootFile`].
pub struct RootWriter<'f> {
    out: Appender<'f>,
    offset: u64,
    index: Index,
}

/// Time and offset of the first root in each block of the file.
type Index = Vec<(i64, u64)>;

impl<'f> RootWriter<'f> {
    pub fn new(file: &'f File) -> Self {
        Self {
            out: Appender::new(file, 0),
            offset: 0,
            index: Vec::new(),
        }
    }

    /// Appends an encoded root. Its time must not be earlier than the time of the previous root.
    pub fn push(&mut self, at_ns: i64, encoded: &[u8]) -> anyhow::Result<()> {
        let piece = self.index.last().map(|(_, offset)| *offset);
        if piece.is_none_or(|piece| self.offset - piece >= READ_BYTES as u64) {
            self.index.push((at_ns, self.offset));
        }
        // A root has fewer bytes than the lines it comes from, and their maximum is far below 4 GiB.
        self.out.push(&(encoded.len() as u32).to_le_bytes())?;
        self.out.push(encoded)?;
        self.offset += (HEAD_BYTES + encoded.len()) as u64;
        Ok(())
    }

    /// Completes the file and returns its index.
    pub fn finish(self) -> anyhow::Result<Index> {
        self.out.finish()?;
        Ok(self.index)
    }
}

impl RootFile {
    /// Creates an empty file in the folder `temporary`. The kernel deletes it when the process ends.
    pub fn create(temporary: &Path) -> anyhow::Result<File> {
        unnamed_file(temporary)
    }

    /// Opens the roots that a [`RootWriter`] wrote to `file`.
    pub fn new(file: File, index: Index, tables: Tables) -> anyhow::Result<Self> {
        Ok(Self {
            end: file.metadata().context(CANNOT_READ)?.len(),
            file,
            index,
            tables,
        })
    }

    /// Length, bytes.
    pub fn bytes(&self) -> u64 {
        self.end
    }

    /// Offset of a block such that all roots before it are earlier than `at_ns`.
    fn offset_before(&self, at_ns: i64) -> u64 {
        let later = self.index.partition_point(|(first_ns, _)| *first_ns < at_ns);
        later.checked_sub(1).map_or(0, |piece| self.index[piece].1)
    }
}

/// An iterator over roots in order of time. It ends with the first error.
pub struct Iter {
    file: Arc<RootFile>,
    /// Offset in the file at which the next read starts.
    unread: u64,
    held: Vec<u8>,
    /// Offset of the next root in `held`.
    next: usize,
    from_ns: i64,
    has_failed: bool,
}

impl Iter {
    /// The roots at `from_ns` or later.
    pub(super) fn new(file: &Arc<RootFile>, from_ns: i64) -> Self {
        Self {
            unread: file.offset_before(from_ns),
            file: Arc::clone(file),
            held: Vec::new(),
            next: 0,
            from_ns,
            has_failed: false,
        }
    }

    fn read(&mut self) -> Result<Option<Draft>, RootsError> {
        loop {
            if !self.hold(HEAD_BYTES)? {
                return Ok(None);
            }
            let mut head = [0; HEAD_BYTES];
            head.copy_from_slice(&self.held[self.next..][..HEAD_BYTES]);
            let length = u32::from_le_bytes(head) as usize;
            if !self.hold(HEAD_BYTES + length)? {
                return Err(RootsError::Damaged);
            }
            let encoded = &self.held[self.next + HEAD_BYTES..][..length];
            self.next += HEAD_BYTES + length;
            let draft = decode(encoded, &self.file.tables).ok_or(RootsError::Damaged)?;
            if draft.root.at_ns >= self.from_ns {
                return Ok(Some(draft));
            }
        }
    }

    /// Reads until the buffer holds `bytes` bytes from the next root on. Returns false if the file has fewer.
    fn hold(&mut self, bytes: usize) -> Result<bool, RootsError> {
        if self.held.len() - self.next >= bytes {
            return Ok(true);
        }
        self.held.drain(..self.next);
        self.next = 0;
        let before = self.held.len();
        let unread = self.file.end - self.unread;
        let wanted = u64::min(READ_BYTES.max(bytes - before) as u64, unread);
        self.held.resize(before + wanted as usize, 0);
        let read = self
            .file
            .file
            .read_exact_at(&mut self.held[before..], self.unread);
        read.context(CANNOT_READ)?;
        self.unread += wanted;
        Ok(self.held.len() >= bytes)
    }
}

impl Iterator for Iter {
    type Item = Result<Root, RootsError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let read = self.read();
        self.has_failed = read.is_err();
        read.map(|draft| draft.map(|draft| draft.root)).transpose()
    }
}
