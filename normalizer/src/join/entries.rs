//! [`Entries`]: the spans in the table by number and by id, and the lists of those that wait on one another.

use std::collections::HashSet;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

use super::entry::{Entry, NONE};

/// Entries by number; an entry keeps its number as long as it lives.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(from = "Saved")]
pub(super) struct Entries {
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// The first entry of each trace and span id.
    #[serde(skip_serializing)]
    index: HashTable<u32>,
    #[serde(skip_serializing)]
    hasher: DefaultHashBuilder,
}

/// Entries without their index, as they are kept over a restart.
#[derive(Deserialize)]
struct Saved {
    entries: Vec<Entry>,
    free: Vec<u32>,
}

impl From<Saved> for Entries {
    fn from(saved: Saved) -> Self {
        let mut restored = Self {
            entries: saved.entries,
            free: saved.free,
            ..Self::default()
        };
        let behind_another: HashSet<u32> = restored
            .entries
            .iter()
            .filter(|entry| entry.alive)
            .map(|entry| entry.next_same_id)
            .collect();
        for entry in 0..restored.entries.len() as u32 {
            if restored.get(entry).alive && !behind_another.contains(&entry) {
                restored.put_into_index(entry);
            }
        }
        restored
    }
}

impl Entries {
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub fn get(&self, entry: u32) -> &Entry {
        &self.entries[entry as usize]
    }

    pub fn get_mut(&mut self, entry: u32) -> &mut Entry {
        &mut self.entries[entry as usize]
    }

    /// The first entry of this id; the others follow by `next_same_id`.
    pub fn find(&self, trace_id: &[u8; 16], span_id: &[u8; 8]) -> Option<u32> {
        let entries = &self.entries;
        let is_same = |&at: &u32| {
            let entry = &entries[at as usize];
            entry.span_id == *span_id && entry.trace_id == *trace_id
        };
        self.index
            .find(hash(&self.hasher, trace_id, span_id), is_same)
            .copied()
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
        if let Some(first) = first {
            entry.next_same_id = first;
            self.take_from_index(first);
        }
        let at = match self.free.pop() {
            Some(at) => {
                self.entries[at as usize] = entry;
                at
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        self.put_into_index(at);
        at
    }

    /// Removes an entry that neither waits nor is waited on.
    pub fn remove(&mut self, entry: u32) {
        let gone = *self.get(entry);
        let first = self.find(&gone.trace_id, &gone.span_id);
        if first == Some(entry) {
            self.take_from_index(entry);
            if gone.next_same_id != NONE {
                self.put_into_index(gone.next_same_id);
            }
        } else {
            let before = self.among(first, |_, other| other.next_same_id == entry);
            debug_assert!(before.is_some(), "a live entry is found by its id");
            if let Some(before) = before {
                self.get_mut(before).next_same_id = gone.next_same_id;
            }
        }
        self.get_mut(entry).alive = false;
        self.free.push(entry);
    }

    fn take_from_index(&mut self, entry: u32) {
        let of = self.get(entry);
        let hash = hash(&self.hasher, &of.trace_id, &of.span_id);
        if let Ok(found) = self.index.find_entry(hash, |&at| at == entry) {
            found.remove();
        }
    }

    fn put_into_index(&mut self, entry: u32) {
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash_of = |&at: &u32| {
            let entry = &entries[at as usize];
            hash(hasher, &entry.trace_id, &entry.span_id)
        };
        self.index.insert_unique(hash_of(&entry), entry, hash_of);
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

fn hash(hasher: &DefaultHashBuilder, trace_id: &[u8; 16], span_id: &[u8; 8]) -> u64 {
    hasher.hash_one((u128::from_le_bytes(*trace_id), u64::from_le_bytes(*span_id)))
}
