//! [`JoinTable`]: the spans of the last join window, each hanging on its parent until that is settled.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use cctf_proto::cctf::SpanId;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::entry::{Arrival, Caller, Departed, Entry, NO_SPAN, NONE, Outcome, Role, Settled};

/// The spans of the last join window.
///
/// An entry takes 136 bytes, its place in the index 5 to 10 and in the queue of deadlines 16: about 160 bytes a span.
#[derive(Debug)]
pub struct JoinTable {
    entries: Vec<Entry>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// Deadline and entry, oldest first. One whose deadline is not the entry's any more is passed over.
    deadlines: VecDeque<(u64, u32)>,
    /// Entries that became known and whose waiters are to be told.
    to_tell: Vec<u32>,
    settled: Vec<Settled>,
    departed: Vec<Departed>,
    window_nanos: u64,
    entries_max: usize,
}

impl JoinTable {
    /// An empty table that keeps a span for `window_nanos`, and at most `entries_max` of them.
    pub fn new(window_nanos: u64, entries_max: usize) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            deadlines: VecDeque::new(),
            to_tell: Vec::new(),
            settled: Vec::new(),
            departed: Vec::new(),
            window_nanos,
            entries_max,
        }
    }

    /// Spans in the table, missing parents included.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether the table is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a span. `Ok` is what it turned out to be; `Err` is the entry to hold its row under with [`Self::hold`].
    /// Rows that it settled meanwhile wait in [`Self::take_settled`].
    pub fn insert(&mut self, arrival: &Arrival, now: u64) -> Result<Outcome, u32> {
        let entry = self.place(arrival, now);
        let outcome = self.attach(entry, now);
        self.tell_waiters();
        outcome.ok_or(entry)
    }

    /// Says which row to settle when the entry's outcome is known.
    pub fn hold(&mut self, entry: u32, row: u32) {
        self.at(entry).row = row;
    }

    /// Rows whose outcome has become known.
    pub fn take_settled(&mut self) -> Option<Settled> {
        self.settled.pop()
    }

    /// Calls that have left the table.
    pub fn take_departed(&mut self) -> Option<Departed> {
        self.departed.pop()
    }

    /// Lets go of all spans whose window has passed, and of the oldest where there are too many: their held rows are
    /// settled as orphans.
    pub fn expire(&mut self, now: u64) {
        while let Some(&(deadline, entry)) = self.deadlines.front() {
            let current = &self.entries[entry as usize];
            let is_current = current.alive && current.deadline == deadline;
            if is_current && deadline > now && self.len() <= self.entries_max {
                break;
            }
            self.deadlines.pop_front();
            if is_current {
                self.let_go(entry);
            }
        }
    }

    /// When the next span's window passes.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.front().map(|(deadline, _)| *deadline)
    }

    fn at(&mut self, entry: u32) -> &mut Entry {
        &mut self.entries[entry as usize]
    }

    fn hash(&self, trace_id: &[u8; 16], span_id: &[u8; 8]) -> u64 {
        let trace = u128::from_le_bytes(*trace_id);
        self.hasher.hash_one((trace, u64::from_le_bytes(*span_id)))
    }

    fn find(&self, hash: u64, trace_id: &[u8; 16], span_id: &[u8; 8]) -> Option<u32> {
        let entries = &self.entries;
        let same = |&at: &u32| {
            let entry = &entries[at as usize];
            entry.span_id == *span_id && entry.trace_id == *trace_id
        };
        self.index.find(hash, same).copied()
    }

    fn add(&mut self, hash: u64, entry: Entry) -> u32 {
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
        self.deadlines.push_back((entry.deadline, at));
        let (entries, hasher) = (&self.entries, &self.hasher);
        let rehash = |&at: &u32| {
            let entry: &Entry = &entries[at as usize];
            hasher.hash_one((
                u128::from_le_bytes(entry.trace_id),
                u64::from_le_bytes(entry.span_id),
            ))
        };
        self.index.insert_unique(hash, at, rehash);
        at
    }

    /// Gives the span its entry: the one that a child had made for it, or a new one.
    fn place(&mut self, arrival: &Arrival, now: u64) -> u32 {
        let deadline = now + self.window_nanos;
        let hash = self.hash(&arrival.trace_id, &arrival.span_id);
        let first = self.find(hash, &arrival.trace_id, &arrival.span_id);
        if let Some(entry) = first.filter(|&entry| self.entries[entry as usize].role == Role::Missing) {
            self.at(entry).take(arrival, deadline);
            self.deadlines.push_back((deadline, entry));
            self.arrived_after_children(entry);
            return entry;
        }
        let mut entry = Entry::missing(arrival.trace_id, arrival.span_id, deadline);
        entry.take(arrival, deadline);
        let Some(first) = first else {
            return self.add(hash, entry);
        };
        // The index holds one entry an id; the newcomer takes the head's place in it and leads to it.
        entry.next_same_id = first;
        self.remove_from_index(first);
        self.add(hash, entry)
    }

    /// A call, or a span of another instance, can't be the SERVER that saw the same request: its children are invocations.
    fn arrived_after_children(&mut self, entry: u32) {
        let parent = self.entries[entry as usize];
        let mut child = parent.first_waiter;
        while child != NONE {
            let waiter = self.entries[child as usize];
            if is_surely_invocation(&waiter, &parent) && !waiter.known {
                self.know_as_invocation(child);
            }
            child = waiter.next_waiter;
        }
        self.tell_waiters();
    }

    fn know_as_invocation(&mut self, entry: u32) {
        let entry_ref = self.at(entry);
        entry_ref.known = true;
        entry_ref.ancestor = entry_ref.span_id;
        entry_ref.server_instance = if entry_ref.role == Role::Server {
            entry_ref.instance
        } else {
            NONE
        };
        self.to_tell.push(entry);
    }

    /// Finds the parent and settles the span, or hangs it on the parent.
    fn attach(&mut self, entry: u32, now: u64) -> Option<Outcome> {
        let span = self.entries[entry as usize];
        if span.parent_span_id == NO_SPAN {
            return Some(self.settle_root(entry));
        }
        let parent = self.parent_of(entry, now);
        if parent == entry {
            // A span that names itself as its parent waits in vain, as one whose parent never comes.
            return None;
        }
        if span.role.is_callee() {
            let parent = self.at(parent);
            parent.callees = parent.callees.saturating_add(1);
            if parent.callee_instance == NONE {
                parent.callee_instance = span.instance;
            }
        }
        let parent_entry = self.entries[parent as usize];
        if parent_entry.known {
            return Some(self.settle_below(entry, &parent_entry));
        }
        self.wait_on(entry, parent);
        if span.parent_is_remote && span.role == Role::Server
            || span.role == Role::Consumer
            || is_surely_invocation(&span, &parent_entry)
        {
            self.know_as_invocation(entry);
        }
        None
    }

    fn parent_of(&mut self, entry: u32, now: u64) -> u32 {
        let span = self.entries[entry as usize];
        let hash = self.hash(&span.trace_id, &span.parent_span_id);
        let Some(first) = self.find(hash, &span.trace_id, &span.parent_span_id) else {
            let deadline = now + self.window_nanos;
            return self.add(hash, Entry::missing(span.trace_id, span.parent_span_id, deadline));
        };
        // Where a CLIENT and a SERVER share the id, a callee hangs on the call, and inner work on its own process.
        let fits = |candidate: &Entry| {
            if span.role.is_callee() {
                candidate.role.is_call()
            } else {
                candidate.instance == span.instance
            }
        };
        let mut candidate = first;
        while candidate != NONE {
            let other = &self.entries[candidate as usize];
            if candidate != entry && fits(other) {
                return candidate;
            }
            candidate = other.next_same_id;
        }
        first
    }

    fn settle_root(&mut self, entry: u32) -> Outcome {
        let role = self.entries[entry as usize].role;
        let outcome = match role {
            Role::Server | Role::Consumer | Role::Internal => {
                let caller = self.caller_of(entry);
                self.know_as_invocation(entry);
                Outcome::Invocation {
                    parent: None,
                    caller,
                    orphan: false,
                }
            }
            Role::Client | Role::Producer => {
                self.know(entry, NO_SPAN, NONE);
                Outcome::Call {
                    ancestor: None,
                    callee: self.callee_of(entry),
                    orphan: false,
                }
            }
            Role::Poll | Role::Missing => {
                self.know(entry, NO_SPAN, NONE);
                Outcome::Nothing
            }
        };
        self.to_tell.push(entry);
        outcome
    }

    fn know(&mut self, entry: u32, ancestor: [u8; 8], server_instance: u32) {
        let entry = self.at(entry);
        entry.known = true;
        entry.ancestor = ancestor;
        entry.server_instance = server_instance;
    }

    /// Settles a span whose parent is known.
    fn settle_below(&mut self, entry: u32, parent: &Entry) -> Outcome {
        let span = self.entries[entry as usize];
        if !span.known {
            let seen_twice = span.role == Role::Server && parent.server_instance == span.instance;
            match span.role {
                Role::Server | Role::Consumer if !seen_twice => self.know_as_invocation(entry),
                Role::Client | Role::Producer => self.know(entry, parent.ancestor, NONE),
                _ => self.know(entry, parent.ancestor, parent.server_instance),
            }
            self.to_tell.push(entry);
        }
        let span = &self.entries[entry as usize];
        match span.role {
            Role::Server | Role::Consumer if span.ancestor == span.span_id => Outcome::Invocation {
                parent: parent.ancestor(),
                caller: self.caller_of(entry),
                orphan: false,
            },
            Role::Client | Role::Producer => Outcome::Call {
                ancestor: parent.ancestor(),
                callee: self.callee_of(entry),
                orphan: false,
            },
            _ => Outcome::Nothing,
        }
    }

    fn callee_of(&self, entry: u32) -> Option<u32> {
        let callee = self.entries[entry as usize].callee_instance;
        (callee != NONE).then_some(callee)
    }

    /// The call that reached a span: its parent, or the CLIENT span that shares its id.
    fn caller_of(&self, entry: u32) -> Option<Caller> {
        let span = &self.entries[entry as usize];
        if !span.role.is_callee() {
            return None;
        }
        let find_call = |span_id: &[u8; 8]| {
            let mut candidate = self.find(self.hash(&span.trace_id, span_id), &span.trace_id, span_id)?;
            while candidate != NONE {
                let other = &self.entries[candidate as usize];
                if candidate != entry && other.role.is_call() {
                    return Some((candidate, other));
                }
                candidate = other.next_same_id;
            }
            None
        };
        let shares_id = |(_, call): &(u32, &Entry)| call.parent_span_id == span.parent_span_id;
        let (at, call) = match find_call(&span.parent_span_id) {
            Some(found) => found,
            None => find_call(&span.span_id).filter(shares_id)?,
        };
        debug_assert_ne!(at, entry);
        Some(Caller {
            span_id: SpanId(call.span_id),
            instance: call.instance,
            duration_nanos: call.duration_nanos,
            end_unix_nano: call.end_unix_nano,
            callees: call.callees.max(1),
        })
    }

    fn wait_on(&mut self, entry: u32, parent: u32) {
        let first = std::mem::replace(&mut self.at(parent).first_waiter, entry);
        if first != NONE {
            self.at(first).previous_waiter = entry;
        }
        let waiter = self.at(entry);
        waiter.waits_on = parent;
        waiter.next_waiter = first;
        waiter.previous_waiter = NONE;
    }

    fn stop_waiting(&mut self, entry: u32) {
        let waiter = self.entries[entry as usize];
        if waiter.waits_on == NONE {
            return;
        }
        match waiter.previous_waiter {
            NONE => self.at(waiter.waits_on).first_waiter = waiter.next_waiter,
            previous => self.at(previous).next_waiter = waiter.next_waiter,
        }
        if waiter.next_waiter != NONE {
            self.at(waiter.next_waiter).previous_waiter = waiter.previous_waiter;
        }
        let waiter = self.at(entry);
        (waiter.waits_on, waiter.next_waiter, waiter.previous_waiter) = (NONE, NONE, NONE);
    }

    /// Settles all that hang on entries which became known, and what hangs on these in turn.
    fn tell_waiters(&mut self) {
        while let Some(parent) = self.to_tell.pop() {
            loop {
                let parent_entry = self.entries[parent as usize];
                let child = parent_entry.first_waiter;
                if child == NONE || !parent_entry.known {
                    break;
                }
                self.stop_waiting(child);
                let outcome = self.settle_below(child, &parent_entry);
                self.report(child, outcome);
            }
        }
    }

    fn report(&mut self, entry: u32, outcome: Outcome) {
        let row = std::mem::replace(&mut self.at(entry).row, NONE);
        if row != NONE {
            self.settled.push(Settled { row, outcome });
        }
    }

    fn let_go(&mut self, entry: u32) {
        let span = self.entries[entry as usize];
        if span.row != NONE {
            let outcome = match span.role {
                Role::Client | Role::Producer => Outcome::Call {
                    ancestor: None,
                    callee: self.callee_of(entry),
                    orphan: true,
                },
                _ => Outcome::Invocation {
                    parent: None,
                    caller: self.caller_of(entry),
                    orphan: true,
                },
            };
            self.report(entry, outcome);
            if !span.known && span.role.is_callee() {
                self.know_as_invocation(entry);
                self.tell_waiters();
            }
        }
        while self.entries[entry as usize].first_waiter != NONE {
            self.stop_waiting(self.entries[entry as usize].first_waiter);
        }
        self.stop_waiting(entry);
        if span.role.is_call() {
            self.departed.push(Departed {
                instance: span.instance,
                callee: self.callee_of(entry),
                peer: span.peer,
                trace_id: span.trace_id,
            });
        }
        self.remove(entry);
    }

    fn remove(&mut self, entry: u32) {
        let span = self.entries[entry as usize];
        let hash = self.hash(&span.trace_id, &span.span_id);
        match self.find(hash, &span.trace_id, &span.span_id) {
            Some(first) if first == entry => {
                self.remove_from_index(entry);
                if span.next_same_id != NONE {
                    self.add_to_index(hash, span.next_same_id);
                }
            }
            Some(mut before) => {
                while self.entries[before as usize].next_same_id != entry {
                    before = self.entries[before as usize].next_same_id;
                    if before == NONE {
                        break;
                    }
                }
                if before != NONE {
                    self.at(before).next_same_id = span.next_same_id;
                }
            }
            None => debug_assert!(false, "a live entry is in the index"),
        }
        self.at(entry).alive = false;
        self.free.push(entry);
    }

    fn remove_from_index(&mut self, entry: u32) {
        let span = self.entries[entry as usize];
        let hash = self.hash(&span.trace_id, &span.span_id);
        if let Ok(found) = self.index.find_entry(hash, |&at| at == entry) {
            found.remove();
        }
    }

    fn add_to_index(&mut self, hash: u64, entry: u32) {
        let (entries, hasher) = (&self.entries, &self.hasher);
        let rehash = |&at: &u32| {
            let entry: &Entry = &entries[at as usize];
            hasher.hash_one((
                u128::from_le_bytes(entry.trace_id),
                u64::from_le_bytes(entry.span_id),
            ))
        };
        self.index.insert_unique(hash, entry, rehash);
    }
}

/// Whether a SERVER span below this arrived parent is an invocation whatever stands above: its parent is a call, or of
/// another instance.
fn is_surely_invocation(span: &Entry, parent: &Entry) -> bool {
    span.role == Role::Server
        && parent.role != Role::Missing
        && (parent.role.is_call() || parent.instance != span.instance)
}
