//! [`Sorter`]: an external merge sort of records in constant memory; what does not fit lies in a file without a name.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// Runs merged at once; with more, groups of them are merged to longer ones first.
const FAN_IN: usize = 384;
/// Read of a run at once. Together with the fan-in: 24 MiB.
const READ_BYTES: usize = 64 << 10;
/// What is written at once.
const WRITE_BYTES: usize = 256 << 10;
/// A record's fixed part: key, length of the body, and how much of the body is key.
const HEAD_BYTES: usize = 16;

/// Where a sorter's runs lie, and how much it holds before it writes one.
#[derive(Debug, Clone)]
pub struct SorterSettings {
    /// Folder of the file.
    pub folder: PathBuf,
    /// Bytes of records held.
    pub held_bytes: usize,
}

/// Sorts records by a number, then by their bytes.
pub struct Sorter {
    settings: SorterSettings,
    arena: Vec<u8>,
    /// Key, and where the record begins.
    index: Vec<(u64, u32)>,
    runs: Vec<Run>,
    file: Option<File>,
    written: u64,
    records: u64,
}

/// A sorted stretch of the file.
#[derive(Debug, Clone, Copy)]
struct Run {
    begin: u64,
    end: u64,
}

/// One record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// What it is sorted by first.
    pub key: u64,
    /// What it is sorted by among equals, and not handed to readers as its line.
    pub identity: &'a [u8],
    /// The rest, by which it is sorted last.
    pub line: &'a [u8],
}

/// A signed number as a key that keeps its order.
pub fn key_of(number: i64) -> u64 {
    number as u64 ^ 1 << 63
}

impl Sorter {
    /// An empty one.
    pub fn new(folder: &Path, held_bytes: usize) -> Self {
        Self {
            settings: SorterSettings {
                folder: folder.to_owned(),
                held_bytes,
            },
            arena: Vec::new(),
            index: Vec::new(),
            runs: Vec::new(),
            file: None,
            written: 0,
            records: 0,
        }
    }

    /// How many records it has.
    pub fn len(&self) -> u64 {
        self.records
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Takes a record.
    pub fn push(&mut self, record: &Record<'_>) -> anyhow::Result<()> {
        let body = record.identity.len() + record.line.len();
        let is_full = self.arena.len() + self.index.len() * 16 + HEAD_BYTES + body > self.settings.held_bytes;
        if is_full && !self.index.is_empty() {
            self.write_run()?;
        }
        self.index.push((record.key, self.arena.len() as u32));
        push_record(record, &mut self.arena);
        self.records += 1;
        Ok(())
    }

    /// Hands all records to `take`, in order.
    pub fn drain(mut self, mut take: impl FnMut(&Record<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        if self.runs.is_empty() {
            self.sort_held();
            for &(_, at) in &self.index {
                take(&record_at(&self.arena, at as usize))?;
            }
            return Ok(());
        }
        if !self.index.is_empty() {
            self.write_run()?;
        }
        self.arena = Vec::new();
        self.index = Vec::new();
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let mut runs = std::mem::take(&mut self.runs);
        while runs.len() > FAN_IN {
            let group: Vec<Run> = runs.drain(..FAN_IN).collect();
            runs.push(self.merge_group(&file, &group)?);
        }
        merge(&file, &runs, &mut take)
    }

    fn sort_held(&mut self) {
        let arena = &self.arena;
        self.index.sort_unstable_by(|left, right| {
            left.0
                .cmp(&right.0)
                .then_with(|| body_at(arena, left.1 as usize).cmp(body_at(arena, right.1 as usize)))
        });
    }

    fn write_run(&mut self) -> anyhow::Result<()> {
        self.sort_held();
        if self.file.is_none() {
            self.file = Some(nameless(&self.settings.folder)?);
        }
        let Some(file) = &self.file else { return Ok(()) };
        let mut out = Appender::new(file, self.written);
        for &(_, at) in &self.index {
            let at = at as usize;
            out.push(&self.arena[at..at + HEAD_BYTES + body_at(&self.arena, at).len()])?;
        }
        let end = out.finish()?;
        self.runs.push(Run {
            begin: self.written,
            end,
        });
        self.written = end;
        self.arena.clear();
        self.index.clear();
        Ok(())
    }

    fn merge_group(&mut self, file: &File, group: &[Run]) -> anyhow::Result<Run> {
        let begin = self.written;
        let mut out = Appender::new(file, begin);
        let mut encoded = Vec::new();
        merge(file, group, &mut |record| {
            encoded.clear();
            push_record(record, &mut encoded);
            out.push(&encoded)
        })?;
        self.written = out.finish()?;
        Ok(Run {
            begin,
            end: self.written,
        })
    }
}

/// A file that nobody finds and that is gone with the process, however it ends.
pub fn nameless(folder: &Path) -> anyhow::Result<File> {
    tempfile::tempfile_in(folder).with_context(|| format!("make a temporary file in {}", folder.display()))
}

fn push_record(record: &Record<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&record.key.to_le_bytes());
    out.extend_from_slice(&((record.identity.len() + record.line.len()) as u32).to_le_bytes());
    out.extend_from_slice(&(record.identity.len() as u32).to_le_bytes());
    out.extend_from_slice(record.identity);
    out.extend_from_slice(record.line);
}

fn number_at(bytes: &[u8], at: usize) -> usize {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four) as usize
}

fn key_at(bytes: &[u8]) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(eight)
}

fn body_at(arena: &[u8], at: usize) -> &[u8] {
    &arena[at + HEAD_BYTES..][..number_at(arena, at + 8)]
}

fn record_at(arena: &[u8], at: usize) -> Record<'_> {
    let (identity, line) = body_at(arena, at).split_at(number_at(arena, at + 12));
    Record {
        key: key_at(&arena[at..]),
        identity,
        line,
    }
}

/// Appends to a file from a place on, in large pieces.
struct Appender<'f> {
    file: &'f File,
    at: u64,
    held: Vec<u8>,
}

impl<'f> Appender<'f> {
    fn new(file: &'f File, at: u64) -> Self {
        Self {
            file,
            at,
            held: Vec::with_capacity(WRITE_BYTES + (4 << 10)),
        }
    }

    fn push(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
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

    fn finish(mut self) -> anyhow::Result<u64> {
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

/// The heap's greatest is the least record.
impl Ord for Cursor<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .key
            .cmp(&self.key)
            .then_with(|| other.body().cmp(self.body()))
    }
}

impl PartialOrd for Cursor<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cursor<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cursor<'_> {}

fn merge(
    file: &File,
    runs: &[Run],
    take: &mut dyn FnMut(&Record<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut heap = BinaryHeap::with_capacity(runs.len());
    for &run in runs {
        let mut cursor = Cursor::new(file, run);
        if cursor.advance(true).context("read a temporary file")? {
            heap.push(cursor);
        }
    }
    while let Some(mut least) = heap.peek_mut() {
        take(&record_at(&least.held, least.begin))?;
        if !least.advance(false).context("read a temporary file")? {
            PeekMut::pop(least);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_records_come_back_in_order_however_little_is_held(
            records in prop::collection::vec((0_u64..20, prop::collection::vec(any::<u8>(), 0..9), 0_usize..200), 0..2000),
            held_bytes in 0_usize..4000,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::new(folder.path(), held_bytes);
            let mut expected = Vec::new();
            for (key, identity, length) in &records {
                let line = vec![b'x'; *length];
                sorter.push(&Record { key: *key, identity, line: &line }).unwrap();
                expected.push((*key, [&identity[..], &line].concat()));
            }
            expected.sort();
            let mut found = Vec::new();
            sorter.drain(|record| {
                found.push((record.key, [record.identity, record.line].concat()));
                Ok(())
            }).unwrap();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn keys_keep_the_order_of_signed_numbers() {
        let numbers = [i64::MIN, -1, 0, 1, i64::MAX];
        assert!(numbers.map(key_of).is_sorted());
    }
}
