//! [`Sorter`]: an external merge sort of records in constant memory; what does not fit lies in a file without a name.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::sorted_runs::{Appender, Run, merge};

/// Runs merged at once, each with its buffer: 24 MiB. With more, groups of them are merged to longer ones first.
const FAN_IN: usize = 384;
/// A record's fixed part: key, length of the body, and how much of the body is key.
pub(super) const HEAD_BYTES: usize = 16;

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
    index: Vec<Entry>,
    runs: Vec<Run>,
    file: Option<File>,
    written: u64,
    records: u64,
}

/// A record that is held: what mostly tells its place in the order, and where it begins.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u64,
    /// The body's first bytes, as a number that has their order.
    prefix: [u64; 2],
    at: u32,
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
        let held = self.arena.len() + self.index.len() * size_of::<Entry>();
        let is_full = held + HEAD_BYTES + body > self.settings.held_bytes;
        if is_full && !self.index.is_empty() {
            self.write_run()?;
        }
        let at = self.arena.len();
        push_record(record, &mut self.arena);
        self.index.push(Entry {
            key: record.key,
            prefix: prefix_of(&self.arena[at + HEAD_BYTES..]),
            at: at as u32,
        });
        self.records += 1;
        Ok(())
    }

    /// Hands all records to `take`, in order, and is empty then.
    pub fn drain(&mut self, mut take: impl FnMut(&Record<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.records = 0;
        if self.runs.is_empty() {
            self.sort_held();
            for entry in &self.index {
                take(&record_at(&self.arena, entry.at as usize))?;
            }
            self.arena.clear();
            self.index.clear();
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
        self.written = 0;
        merge(&file, &runs, &mut take)
    }

    fn sort_held(&mut self) {
        let arena = &self.arena;
        self.index.sort_unstable_by(|left, right| {
            (left.key, left.prefix)
                .cmp(&(right.key, right.prefix))
                .then_with(|| body_at(arena, left.at as usize).cmp(body_at(arena, right.at as usize)))
        });
    }

    fn write_run(&mut self) -> anyhow::Result<()> {
        self.sort_held();
        if self.file.is_none() {
            self.file = Some(nameless(&self.settings.folder)?);
        }
        let Some(file) = &self.file else { return Ok(()) };
        let mut out = Appender::new(file, self.written);
        for entry in &self.index {
            let at = entry.at as usize;
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

pub(super) fn number_at(bytes: &[u8], at: usize) -> usize {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four) as usize
}

pub(super) fn key_at(bytes: &[u8]) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[..8]);
    u64::from_le_bytes(eight)
}

/// Bodies whose prefixes differ are in the order of these.
pub(super) fn prefix_of(body: &[u8]) -> [u64; 2] {
    let mut bytes = [0; 16];
    let known = body.len().min(16);
    bytes[..known].copy_from_slice(&body[..known]);
    let number = u128::from_be_bytes(bytes);
    [(number >> 64) as u64, number as u64]
}

pub(super) fn body_at(arena: &[u8], at: usize) -> &[u8] {
    &arena[at + HEAD_BYTES..][..number_at(arena, at + 8)]
}

pub(super) fn record_at(arena: &[u8], at: usize) -> Record<'_> {
    let (identity, line) = body_at(arena, at).split_at(number_at(arena, at + 12));
    Record {
        key: key_at(&arena[at..]),
        identity,
        line,
    }
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
            // It is empty then, and can be used again.
            sorter.push(&Record { key: 1, identity: b"", line: b"again" }).unwrap();
            prop_assert_eq!(sorter.len(), 1);
        }
    }

    #[test]
    fn keys_keep_the_order_of_signed_numbers() {
        let numbers = [i64::MIN, -1, 0, 1, i64::MAX];
        assert!(numbers.map(key_of).is_sorted());
    }
}
