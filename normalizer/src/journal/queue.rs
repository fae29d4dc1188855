//! [`Journal`]: the bounded queue of records, from the receiver's tasks to the committer's thread, and from there to the pipeline's
//! thread.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::accepted::{Accepted, Answer, AppendError, Uncommitted};
use super::clock::Clock;
use super::limits::{QueueLimits, QueueUsage};
use super::record::{Content, Record, Signal};

/// Interval of [`Content::Tick`].
pub const TICK_INTERVAL: Duration = Duration::from_millis(100);

/// The part that found a disk full.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub enum DiskFull {
    /// The sink cannot write files.
    Files = 1,
    /// The committer has no room for another segment.
    Segments = 2,
    /// The guard of the disks found less free space than the minimum.
    Low = 4,
}

/// The writing end. Clones append to the same journal.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

/// The reading end. It returns records in the order in which they were appended.
pub struct Reader {
    shared: Arc<Shared>,
    in_hand: QueueUsage,
    ended: bool,
}

/// The committer's handle on the queue. The committer takes records from the writing end, and releases them to the reading end
/// when they are durable.
pub struct CommitEnd {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Signals that a record waits to be committed.
    appended: Condvar,
    /// Signals that a record can be read.
    committed: Condvar,
    limits: QueueLimits,
    clock: Clock,
    /// Whether records go through a [`CommitEnd`].
    is_durable: bool,
    /// Bits of [`DiskFull`].
    disk_full: AtomicU8,
    /// Signals that as many bytes have been accepted as [`Journal::allow_bytes`] has set.
    used_up: Notify,
    /// Whether the pipeline must be informed that time passes.
    needs_ticks: AtomicBool,
}

struct State {
    uncommitted: Vec<Uncommitted>,
    waiting: Vec<Record>,
    waiting_held: QueueUsage,
    held: QueueUsage,
    /// Bytes until the next check of the disks. At 0, the check is requested, and requests are still accepted.
    allowed_bytes: u64,
    last_unix_ns: u64,
    closed: bool,
    /// Whether no more records will be committed.
    ended: bool,
    /// Records before this number are no longer needed.
    deletable_before: u64,
}

/// Opens a journal in memory. A record is accepted as soon as it is in the queue.
pub fn open(limits: QueueLimits, clock: Clock) -> (Journal, Reader) {
    let shared = Shared::new(limits, clock, 0, false);
    (
        Journal {
            shared: Arc::clone(&shared),
        },
        Reader::new(shared),
    )
}

/// Opens a journal whose records pass the [`CommitEnd`] before they are accepted and read. `last_unix_ns` is the arrival time of
/// the last recovered record.
pub fn open_durable(limits: QueueLimits, clock: Clock, last_unix_ns: u64) -> (Journal, CommitEnd, Reader) {
    let shared = Shared::new(limits, clock, last_unix_ns, true);
    (
        Journal {
            shared: Arc::clone(&shared),
        },
        CommitEnd {
            shared: Arc::clone(&shared),
        },
        Reader::new(shared),
    )
}

impl Journal {
    /// Appends a request. The request's position in the order is fixed at once. The request is accepted when the future resolves to
    /// `Ok`.
    pub fn append(&self, signal: Signal, body: Bytes) -> Result<Accepted, AppendError> {
        if self.is_disk_full() {
            return Err(AppendError::DiskFull);
        }
        let mut state = self.shared.lock();
        if state.closed {
            return Err(AppendError::Closed);
        }
        if !self.shared.limits.have_room(state.held, body.len()) {
            return Err(AppendError::Full);
        }
        state.held.add(body.len());
        state.allowed_bytes = state.allowed_bytes.saturating_sub(body.len() as u64);
        if state.allowed_bytes == 0 {
            self.shared.used_up.notify_one();
        }
        let content = Content::Request { signal, body };
        if !self.shared.is_durable {
            self.shared.push(&mut state, content, None);
            return Ok(Accepted::at_once());
        }
        let (answer, accepted) = Accepted::once_committed();
        self.shared.push(&mut state, content, Some(answer));
        Ok(accepted)
    }

    /// Appends a tick if the pipeline waits for time to pass, or the committer waits for free space. The new tick
    /// replaces a tick at the end of the queue, so ticks do not accumulate.
    pub fn tick(&self) {
        let mut state = self.shared.lock();
        // While a disk is full, no request is appended. So only ticks can make the committer try again.
        let tries_for_room = self.shared.disk_full.load(Ordering::Relaxed) & DiskFull::Segments as u8 != 0;
        if state.closed || !(self.shared.needs_ticks.load(Ordering::Relaxed) || tries_for_room) {
            return;
        }
        if self.shared.is_durable {
            let is_tick = |last: &mut Uncommitted| last.record.content == Content::Tick;
            let _ = state.uncommitted.pop_if(is_tick);
        } else {
            let _ = state.waiting.pop_if(|last| last.content == Content::Tick);
        }
        self.shared.push(&mut state, Content::Tick, None);
    }

    /// Appends the pipeline's settings, which apply to all later records.
    pub fn append_settings(&self, body: Bytes) {
        let mut state = self.shared.lock();
        self.shared.push(&mut state, Content::Settings { body }, None);
    }

    /// Appends the shutdown, which is the last record.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        if !state.closed {
            state.closed = true;
            self.shared.push(&mut state, Content::Shutdown, None);
        }
    }

    /// Makes the journal refuse requests because of a full disk, or accept them again.
    pub fn set_disk_full(&self, by: DiskFull, is_full: bool) {
        self.shared.set_disk_full(by, is_full);
    }

    /// Sets the number of bytes after which [`Journal::allowance_used_up`] resolves. Further requests are still accepted.
    pub fn allow_bytes(&self, bytes: u64) {
        self.shared.lock().allowed_bytes = bytes;
    }

    /// Resolves when the bytes of [`Journal::allow_bytes`] have been accepted.
    pub async fn allowance_used_up(&self) {
        self.shared.used_up.notified().await;
    }

    /// Whether requests are refused because of a full disk.
    pub fn is_disk_full(&self) -> bool {
        self.shared.disk_full.load(Ordering::Relaxed) != 0
    }

    /// Whether the shutdown record has been appended.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }

    /// The time that a record would get now, nanoseconds since the Unix epoch.
    pub fn now(&self) -> u64 {
        self.shared.now(&self.shared.lock())
    }

    pub fn queue_usage(&self) -> QueueUsage {
        self.shared.lock().held
    }

    /// Sets whether the pipeline must be informed that time passes.
    pub fn set_needs_ticks(&self, needs_ticks: bool) {
        self.shared.needs_ticks.store(needs_ticks, Ordering::Relaxed);
    }

    /// Marks the records before `sequence` as no longer needed.
    pub fn set_deletable_before(&self, sequence: u64) {
        self.shared.lock().deletable_before = sequence;
    }
}

impl CommitEnd {
    pub fn wait(&self) {
        drop(self.lock_with_records());
    }

    fn lock_with_records(&self) -> MutexGuard<'_, State> {
        self.shared
            .appended
            .wait_while(self.shared.lock(), |state| state.uncommitted.is_empty())
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for records and swaps them into the empty `batch`.
    pub fn next_batch(&mut self, batch: &mut Vec<Uncommitted>) {
        debug_assert!(batch.is_empty(), "the previous batch has been committed");
        let mut state = self.lock_with_records();
        std::mem::swap(&mut state.uncommitted, batch);
    }

    /// Passes committed records to the reader, in order.
    pub fn commit(&self, records: impl Iterator<Item = Record>) {
        let mut state = self.shared.lock();
        for record in records {
            state.count_waiting(&record);
            state.waiting.push(record);
        }
        self.shared.committed.notify_one();
    }

    /// Ends the reader after the last committed record, without a shutdown record.
    pub fn end(&self) {
        self.shared.lock().ended = true;
        self.shared.committed.notify_one();
    }

    /// Frees the room of requests that could not be committed. `bodies` are the lengths of their bodies.
    pub fn give_up(&self, bodies: impl Iterator<Item = usize>) {
        let mut state = self.shared.lock();
        for bytes in bodies {
            state.held.subtract(QueueUsage { requests: 1, bytes });
        }
    }

    /// Makes the journal refuse requests because there is no space for segments, or accept them again.
    pub fn set_disk_full(&self, is_full: bool) {
        self.shared.set_disk_full(DiskFull::Segments, is_full);
    }

    /// Number of the first record that is still needed.
    pub fn deletable_before(&self) -> u64 {
        self.shared.lock().deletable_before
    }
}

impl Reader {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            in_hand: QueueUsage::default(),
            ended: false,
        }
    }

    /// Counts the previous batch as processed, waits for records, and swaps them into the empty `batch`. Returns false if
    /// the shutdown record was read before, or will never come.
    pub fn next_batch(&mut self, batch: &mut Vec<Record>) -> bool {
        debug_assert!(batch.is_empty(), "the previous batch has been fed");
        if self.ended {
            return false;
        }
        let mut state = self.shared.lock();
        state.held.subtract(self.in_hand);
        self.in_hand = QueueUsage::default();
        while state.waiting.is_empty() {
            if state.ended {
                return false;
            }
            state = self
                .shared
                .committed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut state.waiting, batch);
        self.in_hand = std::mem::take(&mut state.waiting_held);
        self.ended = batch.last().is_some_and(|last| last.content == Content::Shutdown);
        true
    }
}

impl Shared {
    fn new(limits: QueueLimits, clock: Clock, last_unix_ns: u64, is_durable: bool) -> Arc<Self> {
        let shared = Self {
            state: Mutex::new(State {
                uncommitted: Vec::new(),
                waiting: Vec::new(),
                waiting_held: QueueUsage::default(),
                held: QueueUsage::default(),
                allowed_bytes: u64::MAX,
                last_unix_ns,
                closed: false,
                ended: false,
                deletable_before: 0,
            }),
            appended: Condvar::new(),
            committed: Condvar::new(),
            limits,
            clock,
            is_durable,
            disk_full: AtomicU8::new(0),
            used_up: Notify::new(),
            needs_ticks: AtomicBool::new(true),
        };
        shared.push(&mut shared.lock(), Content::Restart, None);
        Arc::new(shared)
    }

    /// Ignores that another thread panicked while it held the lock: no code can panic in the middle of a change, so the state is
    /// consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of a record that is appended now. It never goes back.
    fn now(&self, state: &State) -> u64 {
        state.last_unix_ns.max((self.clock)())
    }

    fn push(&self, state: &mut State, content: Content, answer: Option<Answer>) {
        state.last_unix_ns = self.now(state);
        let record = Record {
            received_unix_ns: state.last_unix_ns,
            content,
        };
        if self.is_durable {
            state.uncommitted.push(Uncommitted { record, answer });
            self.appended.notify_one();
        } else {
            state.count_waiting(&record);
            state.waiting.push(record);
            self.committed.notify_one();
        }
    }

    fn set_disk_full(&self, by: DiskFull, is_full: bool) {
        if is_full {
            self.disk_full.fetch_or(by as u8, Ordering::Relaxed);
        } else {
            self.disk_full.fetch_and(!(by as u8), Ordering::Relaxed);
        }
    }
}

impl State {
    fn count_waiting(&mut self, record: &Record) {
        if let Content::Request { body, .. } = &record.content {
            self.waiting_held.add(body.len());
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
