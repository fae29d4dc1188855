//! [`RecentSet`]: whether a span has been seen within the dedup window.

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

/// Generations that the window is cut into: one more than this many is the longest that a copy is remembered, in parts
/// of the window, and one part of the memory is given back at a time.
const GENERATIONS: u64 = 4;

/// Fingerprints of what was seen in the window, in generations that leave one after the other.
///
/// A span takes 8 bytes of fingerprint and its place in a table that is 44 to 88% full: 10 to 20 bytes. Two spans share
/// a 64-bit fingerprint with a chance of 2^-64 a pair: at six million spans in the window, 3 in 10^13 a span.
#[derive(Debug, Serialize, Deserialize)]
pub struct RecentSet {
    #[serde(with = "as_lists")]
    generations: Vec<HashTable<u64>>,
    current: usize,
    generation_ends: u64,
    generation_nanos: u64,
    entries_max: usize,
}

impl RecentSet {
    /// Remembers for at least `window_nanos`, unless there are more than `entries_max`: then the oldest leave early.
    pub fn new(window_nanos: u64, entries_max: usize) -> Self {
        let generations = (0..=GENERATIONS).map(|_| HashTable::new()).collect();
        let generation_nanos = (window_nanos / GENERATIONS).max(1);
        Self {
            generations,
            current: 0,
            generation_ends: 0,
            generation_nanos,
            entries_max,
        }
    }

    /// Changes how long it remembers.
    pub fn set_window(&mut self, window_nanos: u64) {
        self.generation_nanos = (window_nanos / GENERATIONS).max(1);
    }

    /// Remembers a fingerprint; false if it was there already.
    pub fn insert(&mut self, fingerprint: u64, now: u64) -> bool {
        let full = self.generations[self.current].len() >= self.entries_max / GENERATIONS as usize;
        if now >= self.generation_ends || full {
            self.begin_generation(now);
        }
        if self
            .generations
            .iter()
            .any(|seen| seen.find(fingerprint, |&other| other == fingerprint).is_some())
        {
            return false;
        }
        self.generations[self.current].insert_unique(fingerprint, fingerprint, |&other| other);
        true
    }

    fn begin_generation(&mut self, now: u64) {
        self.current = (self.current + 1) % self.generations.len();
        // A new table, so that a burst's memory goes back; sized as the last one, so that it seldom grows.
        let expected = self.generations.iter().map(HashTable::len).max().unwrap_or(0);
        self.generations[self.current] = HashTable::with_capacity(expected);
        self.generation_ends = now + self.generation_nanos;
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.generations.iter().map(HashTable::len).sum()
    }
}

/// Generations as plain lists: the tables are made anew when they are read.
mod as_lists {
    use hashbrown::HashTable;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(
        generations: &[HashTable<u64>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            generations
                .iter()
                .map(|seen| seen.iter().copied().collect::<Vec<u64>>()),
        )
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<HashTable<u64>>, D::Error> {
        let lists = Vec::<Vec<u64>>::deserialize(deserializer)?;
        let table = |list: Vec<u64>| {
            let mut table = HashTable::with_capacity(list.len());
            for fingerprint in list {
                table.insert_unique(fingerprint, fingerprint, |&other| other);
            }
            table
        };
        Ok(lists.into_iter().map(table).collect())
    }
}

/// Mixes a span's identity into 64 bits (the finalizer of MurmurHash3 by A. Appleby, on xor-folded words).
pub fn span_fingerprint(trace_id: &[u8; 16], span_id: &[u8; 8], kind: u8) -> u64 {
    let trace = u128::from_le_bytes(*trace_id);
    let mut mixed = mix(trace as u64 ^ u64::from(kind).rotate_left(56));
    mixed = mix(mixed ^ (trace >> 64) as u64);
    mix(mixed ^ u64::from_le_bytes(*span_id))
}

fn mix(mut word: u64) -> u64 {
    word ^= word >> 33;
    word = word.wrapping_mul(0xff51_afd7_ed55_8ccd);
    word ^= word >> 33;
    word = word.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ word >> 33
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_known_for_the_whole_window_and_forgotten_after_it() {
        let mut seen = RecentSet::new(100, 1000);
        assert!(seen.insert(1, 0));
        assert!(!seen.insert(1, 99));
        for now in (100..400).step_by(20) {
            seen.insert(now, now);
        }
        assert!(seen.insert(1, 400));
    }

    #[test]
    fn the_number_remembered_is_bounded() {
        let mut seen = RecentSet::new(1000, 100);
        for fingerprint in 0..10_000 {
            seen.insert(fingerprint, 0);
        }
        assert!(seen.len() <= 125, "{}", seen.len());
    }
}
