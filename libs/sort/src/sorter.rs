//! [`Sorter`]: sorts records in bounded memory. Records that do not fit are written to a temporary file in sorted chunks.

use std::fs::File;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use crate::chunks::{Appender, SortedChunk, merge_chunks};
use crate::record::{HEAD_BYTES, Record, body_at, prefix_of, push_record, record_at, record_length_at};
use crate::scratch::unnamed_file;

/// Maximum number of chunks that are merged at once. Their buffers take 24 MiB. If there are more chunks, groups of them are
/// first merged into longer ones.
const FAN_IN: usize = 384;

/// Number of records that are loaded at once. In their order, each is somewhere else in memory, and the waits for memory overlap.
const LOADED: usize = 16;
/// Bytes of each that are loaded, and their distance: a line of the cache.
const LOADED_BYTES: usize = 256;
const CACHE_LINE_BYTES: usize = 64;

/// Sorts records by key, then identity, then line.
pub struct Sorter {
    /// Folder of the temporary file.
    folder: PathBuf,
    /// Maximum size of the records in memory, bytes.
    held_bytes: usize,
    /// Whether records are compared beyond their prefix.
    is_whole: bool,
    arena: Vec<u8>,
    index: Vec<Entry>,
    chunks: Vec<SortedChunk>,
    file: Option<File>,
    written: u64,
    records: u64,
}

/// A record in the buffer.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: u64,
    prefix: [u64; 2],
    offset: u32,
}

impl Sorter {
    pub fn new(folder: &Path, held_bytes: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            held_bytes,
            is_whole: true,
            arena: Vec::new(),
            index: Vec::new(),
            chunks: Vec::new(),
            file: None,
            written: 0,
            records: 0,
        }
    }

    /// A sorter that only groups records: those with one key, and with one prefix of identity and line, which has 16 bytes, come in
    /// any order. So no comparison reads the records, which are anywhere in memory.
    pub fn of_groups(folder: &Path, held_bytes: usize) -> Self {
        Self {
            is_whole: false,
            ..Self::new(folder, held_bytes)
        }
    }

    /// Number of records.
    pub fn len(&self) -> u64 {
        self.records
    }

    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub fn push(&mut self, record: &Record<'_>) -> anyhow::Result<()> {
        let body = record.identity.len() + record.line.len();
        let held = self.arena.len() + self.index.len() * size_of::<Entry>();
        let is_full = held + HEAD_BYTES + body > self.held_bytes;
        if is_full && !self.index.is_empty() {
            self.write_chunk()?;
        }
        let offset = self.arena.len();
        push_record(record, &mut self.arena);
        self.index.push(Entry {
            key: record.key,
            prefix: prefix_of(&self.arena[offset + HEAD_BYTES..]),
            offset: offset as u32,
        });
        self.records += 1;
        Ok(())
    }

    /// Passes all records to `take`, in order. The sorter is empty afterwards and can be used again.
    pub fn drain(&mut self, mut take: impl FnMut(&Record<'_>) -> anyhow::Result<()>) -> anyhow::Result<()> {
        self.records = 0;
        if self.chunks.is_empty() {
            self.sort_held();
            for entries in self.index.chunks(LOADED) {
                self.load(entries);
                for entry in entries {
                    take(&record_at(&self.arena, entry.offset as usize))?;
                }
            }
            self.arena.clear();
            self.index.clear();
            return Ok(());
        }
        if !self.index.is_empty() {
            self.write_chunk()?;
        }
        self.arena = Vec::new();
        self.index = Vec::new();
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let mut chunks = std::mem::take(&mut self.chunks);
        while chunks.len() > FAN_IN {
            let group: Vec<SortedChunk> = chunks.drain(..FAN_IN).collect();
            chunks.push(self.merge_group(&file, &group)?);
        }
        self.written = 0;
        merge_chunks(&file, &chunks, &mut take)
    }

    fn sort_held(&mut self) {
        if !self.is_whole {
            self.index.sort_unstable_by_key(|entry| (entry.key, entry.prefix));
            return;
        }
        let arena = &self.arena;
        let body = |entry: &Entry| body_at(arena, entry.offset as usize);
        self.index.sort_unstable_by(|left, right| {
            (left.key, left.prefix)
                .cmp(&(right.key, right.prefix))
                .then_with(|| body(left).cmp(body(right)))
        });
    }

    /// Reads a byte of each line of the cache in which these records are.
    fn load(&self, entries: &[Entry]) {
        let mut bytes = 0;
        for entry in entries {
            let begin = entry.offset as usize;
            let length = record_length_at(&self.arena, begin).min(LOADED_BYTES);
            bytes = self.arena[begin..begin + length]
                .iter()
                .step_by(CACHE_LINE_BYTES)
                .fold(bytes, |bytes, byte| bytes ^ byte);
        }
        black_box(bytes);
    }

    fn write_chunk(&mut self) -> anyhow::Result<()> {
        self.sort_held();
        if self.file.is_none() {
            self.file = Some(unnamed_file(&self.folder)?);
        }
        let Some(file) = &self.file else { return Ok(()) };
        let mut out = Appender::new(file, self.written);
        for entries in self.index.chunks(LOADED) {
            self.load(entries);
            for entry in entries {
                let offset = entry.offset as usize;
                out.push(&self.arena[offset..offset + record_length_at(&self.arena, offset)])?;
            }
        }
        let end = out.finish()?;
        self.chunks.push(SortedChunk {
            begin: self.written,
            end,
        });
        self.written = end;
        self.arena.clear();
        self.index.clear();
        Ok(())
    }

    fn merge_group(&mut self, file: &File, group: &[SortedChunk]) -> anyhow::Result<SortedChunk> {
        let begin = self.written;
        let mut out = Appender::new(file, begin);
        let mut encoded = Vec::new();
        merge_chunks(file, group, &mut |record| {
            encoded.clear();
            push_record(record, &mut encoded);
            out.push(&encoded)
        })?;
        self.written = out.finish()?;
        Ok(SortedChunk {
            begin,
            end: self.written,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_come_back_in_order_however_few_fit_into_memory(
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
            sorter.push(&Record { key: 1, identity: b"", line: b"again" }).unwrap();
            prop_assert_eq!(sorter.len(), 1);
        }

        #[test]
        fn records_with_one_key_and_prefix_come_one_after_the_other(
            records in prop::collection::vec((0_u64..3, 0_u8..9, any::<u8>()), 0..500),
            held_bytes in 0_usize..4000,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let mut sorter = Sorter::of_groups(folder.path(), held_bytes);
            let mut expected = Vec::new();
            for &(key, identity, line) in &records {
                sorter.push(&Record { key, identity: &[identity; 16], line: &[line] }).unwrap();
                expected.push((key, identity, line));
            }
            let mut found = Vec::new();
            sorter.drain(|record| {
                found.push((record.key, record.identity[0], record.line[0]));
                Ok(())
            }).unwrap();
            prop_assert!(found.is_sorted_by_key(|&(key, identity, _)| (key, identity)));
            expected.sort_unstable();
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
