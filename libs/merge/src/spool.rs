//! [`Spool`]: rows' records spread over partitions by the hash of their trace, all in one file without a name.

use std::fs::File;
use std::hash::{BuildHasher, Hasher};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Context;
use cctf_proto::cctf::TraceId;

use super::sorter::nameless;

/// Most partitions: each holds a buffer.
const PARTITIONS_MAX: u64 = 512;
/// A partition's buffer is written when it is as long as this. All of them: 16 MiB, and up to twice that as they grow past it.
const BUFFER_BYTES: usize = 32 << 10;
/// Bits of a place.
pub const PLACE_BITS: u32 = 64;
/// A record's head: its length.
const HEAD_BYTES: usize = 4;

/// Where a trace stands in the order in which traces are looked at, whatever their number and that of the partitions.
pub fn place_of(trace: &TraceId) -> u64 {
    // The seed is fixed: the same traces are looked at in the same order by every merge.
    let mut hasher = foldhash::quality::FixedState::with_seed(0x6363_7466).build_hasher();
    hasher.write(&trace.0);
    hasher.finish()
}

/// Records by partition.
pub struct Spool {
    file: File,
    written: u64,
    /// Bits of the place above those that tell the partition.
    shift_before: u32,
    bits: u32,
    partitions: Vec<Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    buffer: Vec<u8>,
    /// Where its pieces begin and how long each is.
    pieces: Vec<(u64, u32)>,
    bytes: u64,
}

impl Spool {
    /// For about so many bytes of records, of which a partition is to have `partition_bytes`, and whose places agree in their first `shift_before` bits.
    pub fn new(folder: &Path, bytes: u64, partition_bytes: u64, shift_before: u32) -> anyhow::Result<Self> {
        let wanted = bytes.div_ceil(partition_bytes.max(1)).clamp(1, PARTITIONS_MAX);
        let bits = wanted
            .next_power_of_two()
            .trailing_zeros()
            .min(PLACE_BITS - shift_before);
        Ok(Self {
            file: nameless(folder)?,
            written: 0,
            shift_before,
            bits,
            partitions: (0..1_usize << bits).map(|_| Partition::default()).collect(),
        })
    }

    /// How many bits of a place all records of one partition have in common.
    pub fn bits_known(&self) -> u32 {
        self.shift_before + self.bits
    }

    /// Takes a record of a trace at that place.
    pub fn push(&mut self, place: u64, record: &[u8]) -> anyhow::Result<()> {
        let below = place.checked_shl(self.shift_before).unwrap_or(0);
        let number = below.checked_shr(64 - self.bits).unwrap_or(0) as usize;
        let partition = &mut self.partitions[number];
        partition
            .buffer
            .extend_from_slice(&(record.len() as u32).to_le_bytes());
        partition.buffer.extend_from_slice(record);
        partition.bytes += (HEAD_BYTES + record.len()) as u64;
        if partition.buffer.len() >= BUFFER_BYTES {
            self.file
                .write_all_at(&partition.buffer, self.written)
                .context("write a temporary file")?;
            partition
                .pieces
                .push((self.written, partition.buffer.len() as u32));
            self.written += partition.buffer.len() as u64;
            partition.buffer.clear();
        }
        Ok(())
    }

    /// Sizes of the partitions, in bytes, in the order of places.
    pub fn sizes(&self) -> Vec<u64> {
        self.partitions.iter().map(|partition| partition.bytes).collect()
    }

    /// Reads a partition whole; its records are to be taken apart by [`records`].
    pub fn read(&mut self, number: usize, into: &mut Vec<u8>) -> anyhow::Result<()> {
        let partition = std::mem::take(&mut self.partitions[number]);
        into.clear();
        into.reserve(partition.bytes as usize);
        for &(at, length) in &partition.pieces {
            let begin = into.len();
            into.resize(begin + length as usize, 0);
            self.file
                .read_exact_at(&mut into[begin..], at)
                .context("read a temporary file")?;
        }
        into.extend_from_slice(&partition.buffer);
        Ok(())
    }

    /// Hands each record of a partition that is too large to be held to `take`.
    pub fn each(
        &mut self,
        number: usize,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let partition = std::mem::take(&mut self.partitions[number]);
        let mut piece = Vec::new();
        // A record lies in one piece: a buffer is written only behind a whole one.
        for &(at, length) in &partition.pieces {
            piece.resize(length as usize, 0);
            self.file
                .read_exact_at(&mut piece, at)
                .context("read a temporary file")?;
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

/// The records of a partition: where each begins and ends.
pub fn records(partition: &[u8]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let head = partition.get(at..)?.first_chunk::<HEAD_BYTES>()?;
        let begin = at + HEAD_BYTES;
        at = begin + u32::from_le_bytes(*head) as usize;
        Some((begin, at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_in_order_have_the_places_in_order_and_each_record_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path(), 800, 100, 0).unwrap();
        assert_eq!(spool.bits_known(), 3);
        let places: Vec<u64> = (0..5000_u64)
            .map(|number| place_of(&TraceId([number.to_le_bytes(); 2].concat().try_into().unwrap())))
            .collect();
        for place in &places {
            spool
                .push(*place, place.to_string().repeat(9).as_bytes())
                .unwrap();
        }
        let (mut found, mut partition) = (Vec::new(), Vec::new());
        for number in 0..8 {
            let mut of_partition = Vec::new();
            spool.read(number, &mut partition).unwrap();
            for (begin, end) in records(&partition) {
                let text = std::str::from_utf8(&partition[begin..end]).unwrap();
                let place: u64 = text[..text.len() / 9].parse().unwrap();
                of_partition.push(place);
            }
            of_partition.sort_unstable();
            found.extend(of_partition);
        }
        let mut expected = places;
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}
