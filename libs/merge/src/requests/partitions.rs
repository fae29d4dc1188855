//! [`Partitions`]: records of rows in one temporary file, divided into partitions by the hash of their trace.

use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Context;
use cctf_proto::cctf::TraceId;

use cctf_sort::scratch::{CANNOT_READ, CANNOT_WRITE, unnamed_file};

/// Maximum number of partitions. Each has a buffer.
const PARTITIONS_MAX: u64 = 512;
/// Size at which a partition's buffer is written. All buffers have 16 MiB, and up to twice as much because a buffer can become
/// larger than this.
const BUFFER_BYTES: usize = 32 << 10;
pub const HASH_BITS: u32 = 64;
/// Size of a record's head, which contains the record's length, bytes.
const HEAD_BYTES: usize = 4;

/// The hash of a trace. Traces are processed in the order of their hashes, for any number of traces and partitions.
/// The seed is fixed, so that this order is the same in every merge.
pub fn trace_hash(trace: &TraceId) -> u64 {
    let mut hasher = foldhash::quality::FixedState::with_seed(0x6363_7466).build_hasher();
    hasher.write(&trace.0);
    hasher.finish()
}

pub struct Partitions {
    file: File,
    written: u64,
    /// Number of leading bits that the hashes of all records have in common.
    common_bits: u32,
    /// Number of bits after these, which are the index of the partition.
    index_bits: u32,
    partitions: Vec<Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    buffer: Vec<u8>,
    /// Offset and length of each piece in the file.
    pieces: Vec<(u64, u32)>,
    bytes: u64,
}

impl Partitions {
    /// Creates partitions of `partition_bytes` bytes for about `bytes` bytes of records. The hashes of all records have the
    /// same first `common_bits` bits.
    pub fn new(folder: &Path, bytes: u64, partition_bytes: u64, common_bits: u32) -> anyhow::Result<Self> {
        let wanted = bytes.div_ceil(partition_bytes.max(1)).clamp(1, PARTITIONS_MAX);
        let index_bits = wanted
            .next_power_of_two()
            .trailing_zeros()
            .min(HASH_BITS - common_bits);
        Ok(Self {
            file: unnamed_file(folder)?,
            written: 0,
            common_bits,
            index_bits,
            partitions: (0..1_usize << index_bits).map(|_| Partition::default()).collect(),
        })
    }

    /// Number of leading bits that the hashes of all records of one partition have in common.
    pub fn bits_known(&self) -> u32 {
        self.common_bits + self.index_bits
    }

    fn partition_of(&self, hash: u64) -> usize {
        let rest = hash.checked_shl(self.common_bits).unwrap_or(0);
        rest.checked_shr(HASH_BITS - self.index_bits).unwrap_or(0) as usize
    }

    /// Adds a record. `hash` is the hash of its trace.
    pub fn push(&mut self, hash: u64, record: &[u8]) -> anyhow::Result<()> {
        let index = self.partition_of(hash);
        let partition = &mut self.partitions[index];
        partition
            .buffer
            .extend_from_slice(&(record.len() as u32).to_le_bytes());
        partition.buffer.extend_from_slice(record);
        partition.bytes += (HEAD_BYTES + record.len()) as u64;
        if partition.buffer.len() >= BUFFER_BYTES {
            self.file
                .write_all_at(&partition.buffer, self.written)
                .context(CANNOT_WRITE)?;
            partition
                .pieces
                .push((self.written, partition.buffer.len() as u32));
            self.written += partition.buffer.len() as u64;
            partition.buffer.clear();
        }
        Ok(())
    }

    /// Sizes of the partitions in bytes, in the order of hashes.
    pub fn sizes(&self) -> Vec<u64> {
        self.partitions.iter().map(|partition| partition.bytes).collect()
    }

    /// Moves the content of a partition to `content`, which [`records`] splits.
    pub fn read(&mut self, index: usize, content: &mut Vec<u8>) -> anyhow::Result<()> {
        let partition = std::mem::take(&mut self.partitions[index]);
        content.clear();
        content.reserve(partition.bytes as usize);
        for &(offset, length) in &partition.pieces {
            let begin = content.len();
            content.resize(begin + length as usize, 0);
            self.file
                .read_exact_at(&mut content[begin..], offset)
                .context(CANNOT_READ)?;
        }
        content.extend_from_slice(&partition.buffer);
        Ok(())
    }

    /// Removes the records of a partition that is too large for memory, and passes each one to `take`.
    pub fn drain(
        &mut self,
        index: usize,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let partition = std::mem::take(&mut self.partitions[index]);
        let mut piece = Vec::new();
        // A piece contains only complete records, because a buffer is written only after a complete one.
        for &(offset, length) in &partition.pieces {
            piece.resize(length as usize, 0);
            self.file.read_exact_at(&mut piece, offset).context(CANNOT_READ)?;
            for (begin, end) in records(&piece) {
                take(&piece[begin..end])?;
            }
        }
        for (begin, end) in records(&partition.buffer) {
            take(&partition.buffer[begin..end])?;
        }
        Ok(())
    }
}

/// Begin and end of each record in the content of a partition.
pub fn records(content: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut next = 0;
    std::iter::from_fn(move || {
        let head = content.get(next..)?.first_chunk::<HEAD_BYTES>()?;
        let begin = next + HEAD_BYTES;
        next = begin + u32::from_le_bytes(*head) as usize;
        Some((begin, next))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_keep_the_order_of_hashes_and_have_each_record_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut partitions = Partitions::new(folder.path(), 800, 100, 0).unwrap();
        assert_eq!(partitions.bits_known(), 3);
        let hashes: Vec<u64> = (0..5000_u64)
            .map(|number| trace_hash(&TraceId([number.to_le_bytes(); 2].concat().try_into().unwrap())))
            .collect();
        for hash in &hashes {
            let record = hash.to_string().repeat(9);
            partitions.push(*hash, record.as_bytes()).unwrap();
        }
        let (mut found, mut content) = (Vec::new(), Vec::new());
        for index in 0..8 {
            let mut of_partition = Vec::new();
            partitions.read(index, &mut content).unwrap();
            for (begin, end) in records(&content) {
                let text = std::str::from_utf8(&content[begin..end]).unwrap();
                let hash: u64 = text[..text.len() / 9].parse().unwrap();
                of_partition.push(hash);
            }
            of_partition.sort_unstable();
            found.extend(of_partition);
        }
        let mut expected = hashes;
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}
