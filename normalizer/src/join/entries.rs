//! [`Entries`]: the spans in the table by number and by id, and the lists of those that wait on one another.

use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};

use super::entry::{Entry, Fact, NONE};
use super::index::Index;
use super::memory::{prefetch, use_large_pages};

/// Entries of a block: 14 MiB, most of which large pages can lie below. A table that grows in one piece is moved while it
/// grows, which splits them.
const BLOCK_LOG2: u32 = 17;
const BLOCK_MASK: usize = (1 << BLOCK_LOG2) - 1;

/// Entries between the one that goes and the one that is asked for: as long as memory takes to answer.
const EXPIRING_AHEAD: usize = 8;

/// Entries by number; an entry keeps its number as long as it lives.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(from = "Saved")]
pub(super) struct Entries {
    /// All but the last are full.
    #[serde(rename = "entries", serialize_with = "in_one_sequence")]
    blocks: Vec<Vec<Entry>>,
    #[serde(skip_serializing)]
    made: usize,
    free: Vec<u32>,
    /// The first entry of each trace and span id.
    #[serde(skip_serializing)]
    index: Index,
    #[serde(skip_serializing)]
    hasher: RandomState,
}

/// Entries without their index, as they are kept over a restart.
#[derive(Deserialize)]
struct Saved {
    entries: Vec<Entry>,
    free: Vec<u32>,
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
        let behind_another: HashSet<u32> = restored
            .blocks
            .iter()
            .flatten()
            .filter(|entry| entry.is(Fact::Alive))
            .map(|entry| entry.next_same_id)
            .collect();
        for entry in 0..restored.made as u32 {
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

    pub fn get(&self, entry: u32) -> &Entry {
        &self.blocks[entry as usize >> BLOCK_LOG2][entry as usize & BLOCK_MASK]
    }

    pub fn get_mut(&mut self, entry: u32) -> &mut Entry {
        &mut self.blocks[entry as usize >> BLOCK_LOG2][entry as usize & BLOCK_MASK]
    }

    /// Asks for what [`Self::find`] of this id reads.
    #[inline]
    pub fn prefetch(&self, trace_id: &[u8; 16], span_id: &[u8; 8]) {
        self.index.prefetch(hash(&self.hasher, trace_id, span_id));
    }

    /// Asks for the entries that are the next to go, and for their places in the index.
    #[inline]
    pub fn prefetch_expiring(&self, deadlines: &VecDeque<(u64, u32)>) {
        if let Some(&(_, entry)) = deadlines.get(2 * EXPIRING_AHEAD) {
            let entry = self.get(entry);
            prefetch(entry);
            prefetch(&entry.callees);
        }
        if let Some(&(_, entry)) = deadlines.get(EXPIRING_AHEAD) {
            let entry = self.get(entry);
            self.prefetch(&entry.trace_id, &entry.span_id);
        }
    }

    /// The first entry of this id; the others follow by `next_same_id`.
    pub fn find(&self, trace_id: &[u8; 16], span_id: &[u8; 8]) -> Option<u32> {
        let is_same = |at: u32| {
            let entry = self.get(at);
            entry.span_id == *span_id && entry.trace_id == *trace_id
        };
        self.index.find(hash(&self.hasher, trace_id, span_id), is_same)
    }

    /// The first that is as asked for, of `first` and those with its id behind it.
    pub fn among(&self, first: Option<u32>, is_wanted: impl Fn(u32, &Entry) -> bool) -> Option<u32> {
        let mut candidate = first?;
        while candidate != NONE {
            let entry = self.get(candidate);
            if is_wanted(candidate, entry) {
                return Some(candidate);
            }
            candidate = entry.next_same_id;
        }
        None
    }

    /// Adds an entry in front of `first`, the one that has been found by its id.
    pub fn add(&mut self, mut entry: Entry, first: Option<u32>) -> u32 {
        entry.next_same_id = first.unwrap_or(NONE);
        let at = match self.free.pop() {
            Some(at) => {
                *self.get_mut(at) = entry;
                at
            }
            None => self.push(entry),
        };
        match first {
            Some(first) => {
                let hash = self.hash_of(at);
                self.index.replace(hash, first, at);
            }
            None => self.put_into_index(at),
        }
        at
    }

    /// Removes an entry that neither waits nor is waited on.
    pub fn remove(&mut self, entry: u32) {
        let gone = *self.get(entry);
        let hash = self.hash_of(entry);
        let is_first = match gone.next_same_id {
            NONE => self.index.remove(hash, entry),
            next => self.index.replace(hash, entry, next),
        };
        if !is_first {
            let first = self.find(&gone.trace_id, &gone.span_id);
            let before = self.among(first, |_, other| other.next_same_id == entry);
            debug_assert!(before.is_some(), "a live entry is found by its id");
            if let Some(before) = before {
                self.get_mut(before).next_same_id = gone.next_same_id;
            }
        }
        self.get_mut(entry).set(Fact::Alive, false);
        self.free.push(entry);
    }

    fn push(&mut self, entry: Entry) -> u32 {
        if self.made & BLOCK_MASK == 0 {
            let mut block = Vec::with_capacity(1 << BLOCK_LOG2);
            use_large_pages(block.spare_capacity_mut());
            self.blocks.push(block);
        }
        if let Some(block) = self.blocks.last_mut() {
            block.push(entry);
        }
        self.made += 1;
        (self.made - 1) as u32
    }

    fn hash_of(&self, entry: u32) -> u32 {
        let of = self.get(entry);
        hash(&self.hasher, &of.trace_id, &of.span_id)
    }

    fn put_into_index(&mut self, entry: u32) {
        let hash = self.hash_of(entry);
        self.index.insert(hash, entry);
    }

    /// Hangs an entry on its parent.
    pub fn wait_on(&mut self, entry: u32, parent: u32) {
        let first = std::mem::replace(&mut self.get_mut(parent).first_waiter, entry);
        if first != NONE {
            self.get_mut(first).previous_waiter = entry;
        }
        let waiter = self.get_mut(entry);
        waiter.waits_on = parent;
        waiter.next_waiter = first;
        waiter.previous_waiter = NONE;
    }

    /// Takes an entry off its parent, if it hangs on one.
    pub fn stop_waiting(&mut self, entry: u32) {
        let waiter = *self.get(entry);
        if waiter.waits_on == NONE {
            return;
        }
        match waiter.previous_waiter {
            NONE => self.get_mut(waiter.waits_on).first_waiter = waiter.next_waiter,
            previous => self.get_mut(previous).next_waiter = waiter.next_waiter,
        }
        if waiter.next_waiter != NONE {
            self.get_mut(waiter.next_waiter).previous_waiter = waiter.previous_waiter;
        }
        let waiter = self.get_mut(entry);
        (waiter.waits_on, waiter.next_waiter, waiter.previous_waiter) = (NONE, NONE, NONE);
    }

    /// Takes all that hang on an entry off it; the first of them.
    pub fn take_waiters(&mut self, parent: u32) -> u32 {
        std::mem::replace(&mut self.get_mut(parent).first_waiter, NONE)
    }

    /// Frees one of those from its list; the one behind it.
    pub fn free_waiter(&mut self, entry: u32) -> u32 {
        let waiter = self.get_mut(entry);
        let next = waiter.next_waiter;
        (waiter.waits_on, waiter.next_waiter, waiter.previous_waiter) = (NONE, NONE, NONE);
        next
    }

    /// Until when the entry is needed by itself or by what hangs on it.
    pub fn needed_until(&self, entry: u32) -> u64 {
        let of = self.get(entry);
        let (mut needed_until, mut waiter) = (of.needed_until, of.first_waiter);
        while waiter != NONE {
            let waiting = self.get(waiter);
            needed_until = needed_until.max(waiting.needed_until);
            waiter = waiting.next_waiter;
        }
        needed_until
    }
}

#[inline]
fn hash(hasher: &RandomState, trace_id: &[u8; 16], span_id: &[u8; 8]) -> u32 {
    let ids = (u128::from_le_bytes(*trace_id), u64::from_le_bytes(*span_id));
    (hasher.hash_one(ids) >> 32) as u32
}
