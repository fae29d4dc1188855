//! [`SortedChunk`]: sorted records in a file, written in large pieces and merged into one order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use anyhow::Context;

use crate::record::{HEAD_BYTES, Record, body_at, key_at, prefix_of, record_at, record_length_at};
use crate::scratch::{CANNOT_READ, CANNOT_WRITE};

/// Bytes read of a chunk at once.
const READ_BYTES: usize = 64 << 10;
/// Bytes written at once.
const WRITE_BYTES: usize = 256 << 10;

/// A sorted part of the file.
#[derive(Debug, Clone, Copy)]
pub struct SortedChunk {
    /// Offset of its first byte.
    pub begin: u64,
    /// Offset after its last byte.
    pub end: u64,
}

/// Writes to a file in large pieces.
pub struct Appender<'f> {
    file: &'f File,
    offset: u64,
    held: Vec<u8>,
}

impl<'f> Appender<'f> {
    /// Starts at `offset`.
    pub fn new(file: &'f File, offset: u64) -> Self {
        Self {
            file,
            offset,
            held: Vec::with_capacity(WRITE_BYTES + (4 << 10)),
        }
    }

    pub fn push(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.file
            .write_all_at(&self.held, self.offset)
            .context(CANNOT_WRITE)?;
        self.offset += self.held.len() as u64;
        self.held.clear();
        Ok(())
    }

    /// Writes the rest, and returns the offset after it.
    pub fn finish(mut self) -> anyhow::Result<u64> {
        self.flush()?;
        Ok(self.offset)
    }
}

/// Reads a chunk record by record.
struct Cursor<'f> {
    file: &'f File,
    /// The part of the chunk that is still unread.
    unread: SortedChunk,
    held: Vec<u8>,
    /// Offset of the current record in `held`.
    current: usize,
    key: u64,
}

impl<'f> Cursor<'f> {
    fn new(file: &'f File, chunk: SortedChunk) -> Self {
        Self {
            file,
            unread: chunk,
            held: Vec::new(),
            current: 0,
            key: 0,
        }
    }

    /// Moves to the first record, or to the one after the current record; false after the last.
    fn advance(&mut self, is_first: bool) -> io::Result<bool> {
        if !is_first {
            self.current += record_length_at(&self.held, self.current);
        }
        if !self.hold(HEAD_BYTES)? {
            return Ok(false);
        }
        let length = record_length_at(&self.held, self.current);
        if !self.hold(length)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.key = key_at(&self.held[self.current..]);
        Ok(true)
    }

    /// Reads until the buffer holds `bytes` bytes from the current record on; returns false if the chunk has fewer.
    fn hold(&mut self, bytes: usize) -> io::Result<bool> {
        if self.held.len() - self.current >= bytes {
            return Ok(true);
        }
        self.held.drain(..self.current);
        self.current = 0;
        let before = self.held.len();
        let unread = (self.unread.end - self.unread.begin) as usize;
        let wanted = READ_BYTES.max(bytes - before).min(unread);
        self.held.resize(before + wanted, 0);
        self.file
            .read_exact_at(&mut self.held[before..], self.unread.begin)?;
        self.unread.begin += wanted as u64;
        Ok(self.held.len() >= bytes && bytes > 0)
    }

    fn body(&self) -> &[u8] {
        body_at(&self.held, self.current)
    }
}

/// The current record of a chunk, as an element of the heap. The heap moves elements, so this type is small; bodies are
/// compared only if keys are equal.
struct Head<'c, 'f> {
    key: u64,
    prefix: [u64; 2],
    cursor: &'c mut Cursor<'f>,
}

impl<'c, 'f> Head<'c, 'f> {
    fn new(cursor: &'c mut Cursor<'f>) -> Self {
        Self {
            key: cursor.key,
            prefix: prefix_of(cursor.body()),
            cursor,
        }
    }
}

/// Reversed, because the heap returns its greatest element first.
impl Ord for Head<'_, '_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.key, other.prefix)
            .cmp(&(self.key, self.prefix))
            .then_with(|| other.cursor.body().cmp(self.cursor.body()))
    }
}

impl PartialOrd for Head<'_, '_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_, '_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Head<'_, '_> {}

/// Passes the records of all chunks to `take`, in order.
pub fn merge_chunks(
    file: &File,
    chunks: &[SortedChunk],
    take: &mut dyn FnMut(&Record<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut cursors: Vec<Cursor<'_>> = chunks.iter().map(|&chunk| Cursor::new(file, chunk)).collect();
    let mut heap = BinaryHeap::with_capacity(chunks.len());
    for cursor in &mut cursors {
        if cursor.advance(true).context(CANNOT_READ)? {
            heap.push(Head::new(cursor));
        }
    }
    while let Some(mut least) = heap.peek_mut() {
        let cursor = &mut *least.cursor;
        take(&record_at(&cursor.held, cursor.current))?;
        if cursor.advance(false).context(CANNOT_READ)? {
            (least.key, least.prefix) = (least.cursor.key, prefix_of(least.cursor.body()));
        } else {
            PeekMut::pop(least);
        }
    }
    Ok(())
}
