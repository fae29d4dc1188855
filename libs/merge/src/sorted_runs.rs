//! Sorted runs of records in a file: written in large pieces, and merged to one order.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use anyhow::Context;

use super::sorter::{HEAD_BYTES, Record, body_at, key_at, number_at, prefix_of, record_at};

/// Read of a run at once.
const READ_BYTES: usize = 64 << 10;
/// What is written at once.
const WRITE_BYTES: usize = 256 << 10;

/// A sorted stretch of the file.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Its first byte.
    pub begin: u64,
    /// Behind its last.
    pub end: u64,
}

/// Appends to a file from a place on, in large pieces.
pub struct Appender<'f> {
    file: &'f File,
    at: u64,
    held: Vec<u8>,
}

impl<'f> Appender<'f> {
    /// From that place on.
    pub fn new(file: &'f File, at: u64) -> Self {
        Self {
            file,
            at,
            held: Vec::with_capacity(WRITE_BYTES + (4 << 10)),
        }
    }

    /// Appends.
    pub fn push(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.held.extend_from_slice(bytes);
        if self.held.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.file
            .write_all_at(&self.held, self.at)
            .context("write a temporary file")?;
        self.at += self.held.len() as u64;
        self.held.clear();
        Ok(())
    }

    /// Writes what is held; returns the place behind it.
    pub fn finish(mut self) -> anyhow::Result<u64> {
        self.flush()?;
        Ok(self.at)
    }
}

/// Reads a run record by record.
struct Cursor<'f> {
    file: &'f File,
    at: u64,
    end: u64,
    held: Vec<u8>,
    begin: usize,
    key: u64,
}

impl<'f> Cursor<'f> {
    fn new(file: &'f File, run: Run) -> Self {
        Self {
            file,
            at: run.begin,
            end: run.end,
            held: Vec::new(),
            begin: 0,
            key: 0,
        }
    }

    /// Goes to the first record, or to the one behind the current one; false behind the last.
    fn advance(&mut self, is_first: bool) -> io::Result<bool> {
        if !is_first {
            self.begin += HEAD_BYTES + number_at(&self.held, self.begin + 8);
        }
        if !self.has(HEAD_BYTES)? {
            return Ok(false);
        }
        let whole = HEAD_BYTES + number_at(&self.held, self.begin + 8);
        if !self.has(whole)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.key = key_at(&self.held[self.begin..]);
        Ok(true)
    }

    /// Reads on until so many bytes are held; false if there are no more.
    fn has(&mut self, bytes: usize) -> io::Result<bool> {
        if self.held.len() - self.begin >= bytes {
            return Ok(true);
        }
        self.held.drain(..self.begin);
        self.begin = 0;
        let before = self.held.len();
        let wanted = READ_BYTES.max(bytes - before).min((self.end - self.at) as usize);
        self.held.resize(before + wanted, 0);
        self.file.read_exact_at(&mut self.held[before..], self.at)?;
        self.at += wanted as u64;
        Ok(self.held.len() >= bytes && bytes > 0)
    }

    fn body(&self) -> &[u8] {
        body_at(&self.held, self.begin)
    }
}

/// The record that a run is at. Few bytes, since they are moved about in the heap; the bodies of equals are looked up.
struct Head<'c, 'f> {
    key: u64,
    prefix: [u64; 2],
    cursor: &'c mut Cursor<'f>,
}

impl<'c, 'f> Head<'c, 'f> {
    fn of(cursor: &'c mut Cursor<'f>) -> Self {
        Self {
            key: cursor.key,
            prefix: prefix_of(cursor.body()),
            cursor,
        }
    }
}

/// The heap's greatest is the least record.
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

/// Hands all records of sorted runs to `take`, in order.
pub fn merge(
    file: &File,
    runs: &[Run],
    take: &mut dyn FnMut(&Record<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut cursors: Vec<Cursor<'_>> = runs.iter().map(|&run| Cursor::new(file, run)).collect();
    let mut heap = BinaryHeap::with_capacity(runs.len());
    for cursor in &mut cursors {
        if cursor.advance(true).context("read a temporary file")? {
            heap.push(Head::of(cursor));
        }
    }
    while let Some(mut least) = heap.peek_mut() {
        let cursor = &mut *least.cursor;
        take(&record_at(&cursor.held, cursor.begin))?;
        if cursor.advance(false).context("read a temporary file")? {
            (least.key, least.prefix) = (least.cursor.key, prefix_of(least.cursor.body()));
        } else {
            PeekMut::pop(least);
        }
    }
    Ok(())
}
