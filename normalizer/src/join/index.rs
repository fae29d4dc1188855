//! [`Index`]: finds entries by the hash of their ids. A lookup reads one cache line.

use super::ids::EntryId;
use super::memory::{large_vec, prefetch};

/// Binary logarithm of the initial number of slots.
const SLOTS_MIN_LOG2: u32 = 10;
/// Binary logarithm of the maximum number of slots. A 32-bit hash cannot distinguish more.
const SLOTS_MAX_LOG2: u32 = 31;

/// A hash table with open addressing. It contains the ids of entries, not the entries.
///
/// A slot has a hash in its upper half, and an entry's id, which is never zero, in its lower half. Zero is an empty slot. So no
/// entry has to be read to find that an id is missing, or to remove an id. A new span costs one cache line here instead of
/// three.
#[derive(Debug)]
pub(super) struct Index {
    slots: Vec<u64>,
    slots_log2: u32,
    len: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            slots: vec![0; 1 << SLOTS_MIN_LOG2],
            slots_log2: SLOTS_MIN_LOG2,
            len: 0,
        }
    }
}

impl Index {
    /// Prefetches the cache line that a lookup of this hash reads.
    #[inline]
    pub fn prefetch(&self, hash: u32) {
        if let Some(slot) = self.slots.get(self.home(hash)) {
            prefetch(slot);
        }
    }

    /// Among the entries with this hash, the first one for which `is_wanted` returns true.
    #[inline]
    pub fn find(&self, hash: u32, is_wanted: impl Fn(EntryId) -> bool) -> Option<EntryId> {
        let mut place = self.home(hash);
        loop {
            let slot = self.slots[place];
            let entry = EntryId::from_raw(slot as u32)?;
            if (slot >> 32) as u32 == hash && is_wanted(entry) {
                return Some(entry);
            }
            place = self.after(place);
        }
    }

    pub fn insert(&mut self, hash: u32, entry: EntryId) {
        // When five eighths of the slots are used, a lookup reads 2 slots on average. A cache line has 8.
        if self.len * 8 >= self.slots.len() * 5 && self.slots_log2 < SLOTS_MAX_LOG2 {
            self.grow();
        }
        self.put(slot_of(hash, entry));
        self.len += 1;
    }

    /// Replaces an entry by another one with the same hash. Returns false if the entry is not there.
    pub fn replace(&mut self, hash: u32, entry: EntryId, by: EntryId) -> bool {
        let place = self.place_of(hash, entry);
        if let Some(place) = place {
            self.slots[place] = slot_of(hash, by);
        }
        place.is_some()
    }

    /// Removes an entry. Returns false if it is not there. Later slots are moved up, so no tombstones are needed.
    pub fn remove(&mut self, hash: u32, entry: EntryId) -> bool {
        let Some(mut hole) = self.place_of(hash, entry) else {
            return false;
        };
        let mask = self.slots.len() - 1;
        let mut next = self.after(hole);
        while self.slots[next] != 0 {
            let home = self.home((self.slots[next] >> 32) as u32);
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(hole) & mask {
                self.slots[hole] = self.slots[next];
                hole = next;
            }
            next = self.after(next);
        }
        self.slots[hole] = 0;
        self.len -= 1;
        true
    }

    fn place_of(&self, hash: u32, entry: EntryId) -> Option<usize> {
        let wanted = slot_of(hash, entry);
        let mut place = self.home(hash);
        while self.slots[place] != wanted {
            if self.slots[place] == 0 {
                return None;
            }
            place = self.after(place);
        }
        Some(place)
    }

    fn put(&mut self, slot: u64) {
        let mut place = self.home((slot >> 32) as u32);
        while self.slots[place] != 0 {
            place = self.after(place);
        }
        self.slots[place] = slot;
    }

    #[cold]
    fn grow(&mut self) {
        self.slots_log2 += 1;
        let slots = std::mem::replace(&mut self.slots, large_vec(0, 1 << self.slots_log2));
        slots
            .into_iter()
            .filter(|&slot| slot != 0)
            .for_each(|slot| self.put(slot));
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        (hash >> (32 - self.slots_log2)) as usize
    }

    #[inline]
    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.slots.len() - 1)
    }
}

#[inline]
fn slot_of(hash: u32, entry: EntryId) -> u64 {
    u64::from(hash) << 32 | u64::from(entry.raw())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// Checks all entries only after this many steps. After every step, it would take most of a minute.
    const ALL_EVERY: usize = 16;

    proptest! {
        /// Uses few home slots, so that entries are far from them, also across the end of the table. Without moving later slots
        /// up after a removal, lookups would miss entries.
        #[test]
        fn it_holds_what_a_map_holds(
            steps in proptest::collection::vec((0_u32..5, 0_usize..400, prop::bool::weighted(0.6)), 1..3000),
        ) {
            let mut index = Index::default();
            let mut map: HashMap<EntryId, u32> = HashMap::new();
            for (number, (home, entry, is_added)) in steps.into_iter().enumerate() {
                let hash = u32::MAX - home * 0x40_0000 + 0x3f_ffff * (home & 1);
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
                    prop_assert_eq!(index.slots.iter().filter(|&&slot| slot != 0).count(), map.len());
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
        assert!(index.slots.iter().all(|&slot| slot == 0));
    }
}
