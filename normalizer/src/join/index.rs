//! [`Index`]: finds entries by the hash of their ids. Nearly every lookup reads one cache line.

use super::ids::EntryId;
use super::memory::{large_vec, prefetch};

/// Number of slots in a line.
const SLOTS: usize = 7;
/// Binary logarithm of the initial number of lines.
const LINES_MIN_LOG2: u32 = 7;
/// Binary logarithm of the maximum number of lines. A 32-bit hash cannot distinguish many more.
const LINES_MAX_LOG2: u32 = 28;
/// Mean number of used slots in a line at which the table grows. One in 25 entries is then not in its home line.
const FULL: usize = 5;

/// A hash table of cache lines. It contains the ids of entries, not the entries. The hash of an entry determines a line, the
/// entry's home. The entry is in its home or, if the home was full, in one of the lines behind it.
///
/// No entry has to be read to find that an id is missing, or to remove an id. A lookup ends at the first line that no entry has
/// passed (`passed` is 0), so it needs no empty slot. In an earlier table of single slots, a lookup often continued in the next
/// cache line. That line was not prefetched, and the wait for it was half of the time of a lookup.
#[derive(Debug)]
pub(super) struct Index {
    lines: Vec<Line>,
    lines_log2: u32,
    len: usize,
}

/// A cache line with slots for entries.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
struct Line {
    hashes: [u32; SLOTS],
    /// Bit n: slot n is used.
    used: u32,
    entries: [u32; SLOTS],
    /// Number of entries that have passed this line: their home is this line or one before it, but they are in a line behind it.
    passed: u32,
}

const _: () = assert!(size_of::<Line>() == 64, "a lookup reads one cache line");

impl Line {
    /// The used slots with this hash, as bits. All slots are compared, because a branch for each would be mispredicted.
    #[inline]
    fn with_hash(&self, hash: u32) -> u32 {
        bits_equal(&self.hashes, hash) & self.used
    }

    #[inline]
    fn with_entry(&self, entry: EntryId) -> u32 {
        bits_equal(&self.entries, entry.raw()) & self.used
    }
}

/// The values that are equal to `wanted`, as bits.
#[inline]
fn bits_equal(values: &[u32; SLOTS], wanted: u32) -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{
            _mm_castsi128_ps, _mm_cmpeq_epi32, _mm_movemask_ps, _mm_set_epi32, _mm_set1_epi32,
        };
        let [a, b, c, d, e, f, g] = values.map(|value| value as i32);
        // SAFETY: SSE2 is part of every x86-64. Four values at once take a third of the instructions.
        unsafe {
            let equal = |four| {
                let same = _mm_cmpeq_epi32(four, _mm_set1_epi32(wanted as i32));
                _mm_movemask_ps(_mm_castsi128_ps(same)) as u32
            };
            equal(_mm_set_epi32(d, c, b, a)) | (equal(_mm_set_epi32(g, g, f, e)) & 0b111) << 4
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    (0..SLOTS).fold(0, |bits, slot| bits | u32::from(values[slot] == wanted) << slot)
}

impl Default for Index {
    fn default() -> Self {
        Self {
            lines: vec![Line::default(); 1 << LINES_MIN_LOG2],
            lines_log2: LINES_MIN_LOG2,
            len: 0,
        }
    }
}

impl Index {
    /// Prefetches the cache line that a lookup of this hash reads.
    #[inline]
    pub fn prefetch(&self, hash: u32) {
        if let Some(line) = self.lines.get(self.home(hash)) {
            prefetch(line);
        }
    }

    /// Among the entries with this hash, the first one for which `is_wanted` returns true.
    #[inline]
    pub fn find(&self, hash: u32, is_wanted: impl Fn(EntryId) -> bool) -> Option<EntryId> {
        let mut place = self.home(hash);
        loop {
            let line = &self.lines[place];
            let mut found = line.with_hash(hash);
            while found != 0 {
                let entry = EntryId::from_raw(line.entries[found.trailing_zeros() as usize])?;
                if is_wanted(entry) {
                    return Some(entry);
                }
                found &= found - 1;
            }
            if line.passed == 0 {
                return None;
            }
            place = self.after(place);
        }
    }

    pub fn insert(&mut self, hash: u32, entry: EntryId) {
        if self.len >= self.lines.len() * FULL && self.lines_log2 < LINES_MAX_LOG2 {
            self.grow();
        }
        self.put(hash, entry.raw());
        self.len += 1;
    }

    /// Replaces an entry by another one with the same hash. Returns false if the entry is not there.
    pub fn replace(&mut self, hash: u32, entry: EntryId, by: EntryId) -> bool {
        let place = self.place_of(hash, entry);
        if let Some((place, slot)) = place {
            self.lines[place].entries[slot] = by.raw();
        }
        place.is_some()
    }

    /// Removes an entry. Returns false if it is not there. No other entry has to be moved.
    pub fn remove(&mut self, hash: u32, entry: EntryId) -> bool {
        let Some((last, slot)) = self.place_of(hash, entry) else {
            return false;
        };
        self.lines[last].used &= !(1 << slot);
        let mut place = self.home(hash);
        while place != last {
            self.lines[place].passed -= 1;
            place = self.after(place);
        }
        self.len -= 1;
        true
    }

    /// The line and slot of an entry.
    #[inline]
    fn place_of(&self, hash: u32, entry: EntryId) -> Option<(usize, usize)> {
        let mut place = self.home(hash);
        loop {
            let line = &self.lines[place];
            let found = line.with_entry(entry);
            if found != 0 {
                return Some((place, found.trailing_zeros() as usize));
            }
            if line.passed == 0 {
                return None;
            }
            place = self.after(place);
        }
    }

    #[inline]
    fn put(&mut self, hash: u32, entry: u32) {
        let mut place = self.home(hash);
        loop {
            let line = &mut self.lines[place];
            let slot = line.used.trailing_ones() as usize;
            if slot < SLOTS {
                line.used |= 1 << slot;
                line.hashes[slot] = hash;
                line.entries[slot] = entry;
                return;
            }
            line.passed += 1;
            place = self.after(place);
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.lines_log2 += 1;
        let lines = std::mem::replace(&mut self.lines, large_vec(Line::default(), 1 << self.lines_log2));
        for line in lines {
            for slot in (0..SLOTS).filter(|slot| line.used >> slot & 1 != 0) {
                self.put(line.hashes[slot], line.entries[slot]);
            }
        }
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        (hash >> (32 - self.lines_log2)) as usize
    }

    #[inline]
    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.lines.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Checks all entries only after this many steps. After every step, it would take most of a minute.
    const ALL_EVERY: usize = 16;

    proptest! {
        /// Uses few home lines, so that entries are far from them, also across the end of the table. If a line did not count the
        /// entries that passed it, lookups would miss them.
        #[test]
        fn it_holds_what_a_map_holds(
            steps in proptest::collection::vec((0_u32..5, 0_usize..400, prop::bool::weighted(0.6)), 1..3000),
        ) {
            let mut index = Index::default();
            let mut map: HashMap<EntryId, u32> = HashMap::new();
            for (number, (home, entry, is_added)) in steps.into_iter().enumerate() {
                let hash = u32::MAX - home * 0x200_0000 + 0x1ff_ffff * (home & 1);
                let (entry, other) = (EntryId::new(entry), EntryId::new(entry + 1000));
                match map.get(&entry).copied() {
                    None if is_added => {
                        index.insert(hash, entry);
                        map.insert(entry, hash);
                    }
                    Some(hash) if is_added => {
                        index.replace(hash, entry, other);
                        prop_assert_eq!(index.find(hash, |found| found == entry), None);
                        index.replace(hash, other, entry);
                    }
                    Some(hash) => {
                        prop_assert!(index.remove(hash, entry));
                        map.remove(&entry);
                    }
                    None => prop_assert!(!index.remove(hash, entry)),
                }
                if number % ALL_EVERY == 0 {
                    for (&entry, &hash) in &map {
                        prop_assert_eq!(index.find(hash, |found| found == entry), Some(entry));
                    }
                    prop_assert_eq!(index.lines.iter().map(|line| line.used.count_ones() as usize).sum::<usize>(), map.len());
                }
                prop_assert_eq!(index.len, map.len());
            }
        }
    }

    #[test]
    fn it_grows() {
        let mut index = Index::default();
        let hash = |entry: EntryId| entry.raw().wrapping_mul(0x9e37_79b9);
        let entries = || (0..100_000).map(EntryId::new);
        for entry in entries() {
            index.insert(hash(entry), entry);
        }
        assert!(entries().all(|entry| index.find(hash(entry), |found| found == entry) == Some(entry)));
        assert!(entries().all(|entry| index.remove(hash(entry), entry)));
        assert!(index.lines.iter().all(|line| line.used == 0 && line.passed == 0));
    }
}
