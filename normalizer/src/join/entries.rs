//! [`Entries`]: the spans in the table, found by number or by id. Each span has a list of the spans that wait on it.

use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};

use super::entry::{Entry, Fact};
use super::ids::EntryId;
use super::index::Index;
use super::memory::{prefetch, use_large_pages};

/// Binary logarithm of the number of entries in a block. A block has 14 MiB, most of which can be in large pages. A table in
/// one piece would have to be moved when it grows, and this would split the large pages.
const BLOCK_LOG2: u32 = 17;
const BLOCK_MASK: usize = (1 << BLOCK_LOG2) - 1;

/// Distance between the entry that is removed and the entry that is prefetched at the same time. It covers the latency of
/// memory.
const EXPIRING_AHEAD: usize = 16;

/// Entries by number.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(from = "Saved")]
pub(super) struct Entries {
    /// All blocks except the last one are full.
    #[serde(rename = "entries", serialize_with = "in_one_sequence")]
    blocks: Vec<Vec<Entry>>,
    #[serde(skip_serializing)]
    made: usize,
    free: Vec<EntryId>,
    /// The first entry of each trace and span id.
    #[serde(skip_serializing)]
    index: Index,
    #[serde(skip_serializing)]
    hasher: RandomState,
}

/// The entries as a checkpoint stores them, without their index.
#[derive(Deserialize)]
struct Saved {
    entries: Vec<Entry>,
    free: Vec<EntryId>,
}

fn in_one_sequence<S: Serializer>(blocks: &[Vec<Entry>], serializer: S) -> Result<S::Ok, S::Error> {
    let len = blocks.iter().map(Vec::len).sum();
    let mut entries = serializer.serialize_seq(Some(len))?;
    blocks
        .iter()
        .flatten()
        .try_for_each(|entry| entries.serialize_element(entry))?;
    entries.end()
}

impl From<Saved> for Entries {
    fn from(saved: Saved) -> Self {
        let mut restored = Self::default();
        for entry in saved.entries {
            restored.push(entry);
        }
        restored.free = saved.free;
        let behind_another: HashSet<EntryId> = restored
            .blocks
            .iter()
            .flatten()
            .filter(|entry| entry.is(Fact::Alive))
            .filter_map(|entry| entry.next_same_id)
            .collect();
        for entry in (0..restored.made).map(EntryId::new) {
            if restored.get(entry).is(Fact::Alive) && !behind_another.contains(&entry) {
                restored.put_into_index(entry);
            }
        }
        restored
    }
}

impl Entries {
    pub fn len(&self) -> usize {
        self.made - self.free.len()
    }

    pub fn get(&self, entry: EntryId) -> &Entry {
        let index = entry.index();
        &self.blocks[index >> BLOCK_LOG2][index & BLOCK_MASK]
    }

    pub fn get_mut(&mut self, entry: EntryId) -> &mut Entry {
        let index = entry.index();
        &mut self.blocks[index >> BLOCK_LOG2][index & BLOCK_MASK]
    }

    /// Prefetches the memory that [`Self::find`] of this id reads.
    #[inline]
    pub fn prefetch(&self, trace_id: &[u8; 16], span_id: &[u8; 8]) {
        self.index.prefetch(hash(&self.hasher, trace_id, span_id));
    }

    /// Prefetches the entries that will be removed next, and their slots in the index.
    #[inline]
    pub fn prefetch_expiring(&self, deadlines: &VecDeque<(u64, EntryId)>) {
        if let Some(&(_, entry)) = deadlines.get(2 * EXPIRING_AHEAD) {
            let entry = self.get(entry);
            // An entry is in two or three cache lines.
            prefetch(entry);
            prefetch(&entry.instance);
            prefetch(&entry.callees);
        }
        if let Some(&(_, entry)) = deadlines.get(EXPIRING_AHEAD) {
            let entry = self.get(entry);
            self.prefetch(&entry.trace_id, &entry.span_id);
        }
    }

    /// The hash of an id. [`Self::find_by`] and [`Self::add`] take it, so that it is computed once for each span.
    #[inline]
    pub fn hash(&self, trace_id: &[u8; 16], span_id: &[u8; 8]) -> u32 {
        hash(&self.hasher, trace_id, span_id)
    }

    /// The first entry with this id. `next_same_id` leads to the others.
    pub fn find(&self, trace_id: &[u8; 16], span_id: &[u8; 8]) -> Option<EntryId> {
        self.find_by(self.hash(trace_id, span_id), trace_id, span_id)
    }

    /// The first entry with this id, by the id's hash.
    #[inline]
    pub fn find_by(&self, hash: u32, trace_id: &[u8; 16], span_id: &[u8; 8]) -> Option<EntryId> {
        let is_same = |candidate: EntryId| {
            let entry = self.get(candidate);
            entry.span_id == *span_id && entry.trace_id == *trace_id
        };
        self.index.find(hash, is_same)
    }

    /// The first wanted entry among `first` and the following ones with the same id.
    pub fn among(
        &self,
        first: Option<EntryId>,
        is_wanted: impl Fn(EntryId, &Entry) -> bool,
    ) -> Option<EntryId> {
        let mut next = first;
        while let Some(candidate) = next {
            let entry = self.get(candidate);
            if is_wanted(candidate, entry) {
                return Some(candidate);
            }
            next = entry.next_same_id;
        }
        None
    }

    /// Adds an entry in front of `first`, the first existing entry with the same id. `hash` is that of the id.
    pub fn add(&mut self, mut entry: Entry, hash: u32, first: Option<EntryId>) -> EntryId {
        entry.next_same_id = first;
        let id = match self.free.pop() {
            Some(id) => {
                *self.get_mut(id) = entry;
                id
            }
            None => self.push(entry),
        };
        match first {
            Some(first) => {
                self.index.replace(hash, first, id);
            }
            None => self.index.insert(hash, id),
        }
        id
    }

    /// Removes an entry that neither waits nor is waited on.
    pub fn remove(&mut self, entry: EntryId) {
        let hash = self.hash_of(entry);
        let gone = self.get_mut(entry);
        gone.set(Fact::Alive, false);
        let is_first = match gone.next_same_id {
            None => self.index.remove(hash, entry),
            Some(next) => self.index.replace(hash, entry, next),
        };
        if !is_first {
            self.remove_from_same_id(entry, hash);
        }
        self.free.push(entry);
    }

    /// Removes an entry from the list of entries with the same id. The entry must not be the first in the list.
    #[cold]
    fn remove_from_same_id(&mut self, entry: EntryId, hash: u32) {
        let gone = self.get(entry);
        let (next, first) = (
            gone.next_same_id,
            self.find_by(hash, &gone.trace_id, &gone.span_id),
        );
        let before = self.among(first, |_, other| other.next_same_id == Some(entry));
        debug_assert!(before.is_some(), "a live entry is found by its id");
        if let Some(before) = before {
            self.get_mut(before).next_same_id = next;
        }
    }

    fn push(&mut self, entry: Entry) -> EntryId {
        if self.made & BLOCK_MASK == 0 {
            let mut block = Vec::with_capacity(1 << BLOCK_LOG2);
            use_large_pages(block.spare_capacity_mut());
            self.blocks.push(block);
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(entry);
        }
        self.made += 1;
        EntryId::new(self.made - 1)
    }

    fn hash_of(&self, entry: EntryId) -> u32 {
        let of = self.get(entry);
        hash(&self.hasher, &of.trace_id, &of.span_id)
    }

    fn put_into_index(&mut self, entry: EntryId) {
        let hash = self.hash_of(entry);
        self.index.insert(hash, entry);
    }

    /// Adds an entry to the waiters of its parent.
    pub fn wait_on(&mut self, entry: EntryId, parent: EntryId) {
        let first = self.get_mut(parent).first_waiter.replace(entry);
        if let Some(first) = first {
            self.get_mut(first).previous_waiter_or_parent = Some(entry);
        }
        let waiter = self.get_mut(entry);
        waiter.waits_on = Some(parent);
        waiter.set_next_waiter(first);
        waiter.previous_waiter_or_parent = None;
    }

    /// Removes an entry from the waiters of its parent, if it waits on one.
    pub fn stop_waiting(&mut self, entry: EntryId) {
        let waiter = *self.get(entry);
        let Some(parent) = waiter.waits_on else { return };
        let next = waiter.next_waiter();
        match waiter.previous_waiter_or_parent {
            None => self.get_mut(parent).first_waiter = next,
            Some(previous) => self.get_mut(previous).set_next_waiter(next),
        }
        if let Some(next) = next {
            self.get_mut(next).previous_waiter_or_parent = waiter.previous_waiter_or_parent;
        }
        self.get_mut(entry).clear_waiting();
    }

    /// Detaches the list of an entry's waiters, and returns the first waiter.
    pub fn take_waiters(&mut self, parent: EntryId) -> Option<EntryId> {
        self.get_mut(parent).first_waiter.take()
    }

    /// Records that an entry of a detached list no longer waits, and returns the next entry of the list.
    pub fn free_waiter(&mut self, entry: EntryId) -> Option<EntryId> {
        let waiter = self.get_mut(entry);
        let next = waiter.next_waiter();
        waiter.clear_waiting();
        next
    }

    /// Time until which an entry is needed, either for its own span or for its waiters.
    pub fn needed_until(&self, entry: EntryId) -> u64 {
        let of = self.get(entry);
        let (mut needed_until, mut next) = (of.needed_until, of.first_waiter);
        while let Some(waiter) = next {
            let waiting = self.get(waiter);
            needed_until = needed_until.max(waiting.needed_until);
            next = waiting.next_waiter();
        }
        needed_until
    }
}

#[inline]
fn hash(hasher: &RandomState, trace_id: &[u8; 16], span_id: &[u8; 8]) -> u32 {
    let ids = (u128::from_le_bytes(*trace_id), u64::from_le_bytes(*span_id));
    (hasher.hash_one(ids) >> 32) as u32
}
