//! The bounded queue of records between the tasks that receive requests and the one thread that feeds the pipeline.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;

use super::clock::Clock;
use super::record::{Content, Record, Signal};

/// How often a [`Content::Tick`] is due.
pub const TICK_INTERVAL: Duration = Duration::from_millis(100);

/// Most that is held between receiver and pipeline, the batch in the pipeline's hands included.
#[derive(Debug, Clone, Copy)]
pub struct QueueLimits {
    /// Requests.
    pub requests_max: usize,
    /// Bytes of requests. A single request that is larger is taken when nothing else is held.
    pub bytes_max: usize,
}

/// Why a request was not taken. All of these pass: the client is to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The pipeline does not keep up.
    #[error("the queue in front of the pipeline is full, try again later")]
    Full,
    /// Files cannot grow.
    #[error("the disk is full, try again later")]
    DiskFull,
    /// The normalizer goes down.
    #[error("the normalizer is shutting down, try again later")]
    Closed,
}

/// Resolves when a record is as safe as the durability in force demands.
#[derive(Debug)]
pub struct Accepted(Ready<Result<(), AppendError>>);

impl Future for Accepted {
    type Output = Result<(), AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

/// What is held right now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Requests, those in the pipeline's hands included.
    pub requests: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// The end that records are appended to. Clones append to the same journal.
#[derive(Clone)]
pub struct Journal {
    shared: Arc<Shared>,
}

/// The end that records are read from, in the order in which they were appended.
pub struct Reader {
    shared: Arc<Shared>,
    in_hand: Held,
    ended: bool,
}

struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
    limits: QueueLimits,
    clock: Clock,
    disk_full: AtomicBool,
}

struct State {
    waiting: Vec<Record>,
    waiting_held: Held,
    held: Held,
    last_unix_nano: u64,
    closed: bool,
}

/// Opens a journal, whose first record tells that the normalizer came up.
pub fn open(limits: QueueLimits, clock: Clock) -> (Journal, Reader) {
    let now = clock();
    let restart = Record {
        received_unix_nano: now,
        content: Content::Restart,
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            waiting: vec![restart],
            waiting_held: Held::default(),
            held: Held::default(),
            last_unix_nano: now,
            closed: false,
        }),
        arrived: Condvar::new(),
        limits,
        clock,
        disk_full: AtomicBool::new(false),
    });
    let reader = Reader {
        shared: Arc::clone(&shared),
        in_hand: Held::default(),
        ended: false,
    };
    (Journal { shared }, reader)
}

impl Journal {
    /// Appends a request. It is accepted when the future resolves to `Ok`; its place in the order is fixed at once.
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
        state.waiting_held.add(body.len());
        self.shared.push(&mut state, Content::Request { signal, body });
        Ok(Accepted(ready(Ok(()))))
    }

    /// Appends a tick. A tick that the reader has not taken yet moves forward instead, so that ticks never pile up.
    pub fn tick(&self) {
        let mut state = self.shared.lock();
        if state.closed {
            return;
        }
        if matches!(
            state.waiting.last(),
            Some(Record {
                content: Content::Tick,
                ..
            })
        ) {
            state.waiting.pop();
        }
        self.shared.push(&mut state, Content::Tick);
    }

    /// Appends the shutdown, which is the last record.
    pub fn close(&self) {
        let mut state = self.shared.lock();
        if !state.closed {
            state.closed = true;
            self.shared.push(&mut state, Content::Shutdown);
        }
    }

    /// Refuses requests (or takes them again) because files cannot grow.
    pub fn set_disk_full(&self, disk_full: bool) {
        self.shared.disk_full.store(disk_full, Ordering::Relaxed);
    }

    /// Whether requests are refused because files cannot grow.
    pub fn is_disk_full(&self) -> bool {
        self.shared.disk_full.load(Ordering::Relaxed)
    }

    /// Whether the shutdown has been appended.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }

    /// What is held right now.
    pub fn held(&self) -> Held {
        self.shared.lock().held
    }
}

impl Reader {
    /// Waits for records and swaps them into `batch`, which has to be empty; the previous batch counts as done.
    /// False when the shutdown has been read before.
    pub fn next_batch(&mut self, batch: &mut Vec<Record>) -> bool {
        debug_assert!(batch.is_empty(), "the previous batch has been fed");
        if self.ended {
            return false;
        }
        let mut state = self.shared.lock();
        state.held.subtract(self.in_hand);
        self.in_hand = Held::default();
        while state.waiting.is_empty() {
            state = self
                .shared
                .arrived
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut state.waiting, batch);
        self.in_hand = std::mem::take(&mut state.waiting_held);
        self.ended = matches!(
            batch.last(),
            Some(Record {
                content: Content::Shutdown,
                ..
            })
        );
        true
    }
}

impl Shared {
    /// No code panics while it holds the lock, so the state is whole whatever happened to another thread.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, state: &mut State, content: Content) {
        state.last_unix_nano = state.last_unix_nano.max((self.clock)());
        state.waiting.push(Record {
            received_unix_nano: state.last_unix_nano,
            content,
        });
        self.arrived.notify_one();
    }
}

impl QueueLimits {
    fn have_room(&self, held: Held, bytes: usize) -> bool {
        let fits = held.bytes.saturating_add(bytes) <= self.bytes_max || held.requests == 0;
        fits && held.requests < self.requests_max
    }
}

impl Held {
    fn add(&mut self, bytes: usize) {
        self.requests += 1;
        self.bytes += bytes;
    }

    fn subtract(&mut self, other: Held) {
        self.requests -= other.requests;
        self.bytes -= other.bytes;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    const LIMITS: QueueLimits = QueueLimits {
        requests_max: 3,
        bytes_max: 10,
    };

    fn counting_clock() -> Clock {
        let time = AtomicU64::new(1);
        Box::new(move || time.fetch_add(1, Ordering::Relaxed))
    }

    fn append(journal: &Journal, len: usize) -> Result<(), AppendError> {
        journal
            .append(Signal::Traces, Bytes::from(vec![0; len]))
            .map(drop)
    }

    #[test]
    fn requests_come_out_in_order_between_a_restart_and_the_shutdown() {
        let (journal, mut reader) = open(LIMITS, counting_clock());
        journal.append(Signal::Traces, Bytes::from_static(b"a")).unwrap();
        journal.append(Signal::Logs, Bytes::from_static(b"b")).unwrap();
        journal.close();
        journal.close();

        let mut batch = Vec::new();
        assert!(reader.next_batch(&mut batch));
        let contents: Vec<Content> = batch.drain(..).map(|record| record.content).collect();
        assert_eq!(
            contents,
            [
                Content::Restart,
                Content::Request {
                    signal: Signal::Traces,
                    body: Bytes::from_static(b"a")
                },
                Content::Request {
                    signal: Signal::Logs,
                    body: Bytes::from_static(b"b")
                },
                Content::Shutdown,
            ]
        );
        assert!(!reader.next_batch(&mut batch));
        assert_eq!(append(&journal, 1), Err(AppendError::Closed));
    }

    #[test]
    fn the_batch_in_hand_counts_until_the_next_is_asked_for() {
        let (journal, mut reader) = open(LIMITS, counting_clock());
        append(&journal, 6).unwrap();
        append(&journal, 4).unwrap();
        assert_eq!(append(&journal, 1), Err(AppendError::Full));

        let mut batch = Vec::new();
        assert!(reader.next_batch(&mut batch));
        assert_eq!(
            append(&journal, 1),
            Err(AppendError::Full),
            "the batch is not done yet"
        );
        batch.clear();
        journal.tick();
        assert!(reader.next_batch(&mut batch));
        append(&journal, 10).unwrap();
    }

    #[test]
    fn the_number_of_requests_is_bounded_and_one_of_any_size_fits_alone() {
        let (journal, _reader) = open(LIMITS, counting_clock());
        append(&journal, 1_000).unwrap();
        assert_eq!(append(&journal, 1), Err(AppendError::Full));

        let (journal, _reader) = open(LIMITS, counting_clock());
        for _ in 0..LIMITS.requests_max {
            append(&journal, 0).unwrap();
        }
        assert_eq!(append(&journal, 0), Err(AppendError::Full));
    }

    #[test]
    fn ticks_pass_the_bound_and_never_pile_up() {
        let (journal, mut reader) = open(
            QueueLimits {
                requests_max: 1,
                bytes_max: 1,
            },
            counting_clock(),
        );
        append(&journal, 1).unwrap();
        (0..100).for_each(|_| journal.tick());

        let mut batch = Vec::new();
        assert!(reader.next_batch(&mut batch));
        assert_eq!(batch.len(), 3);
        assert_eq!(batch[2].content, Content::Tick);
        assert_eq!(batch[2].received_unix_nano, 102, "the time of the last tick");
    }

    #[test]
    fn stamps_never_go_back_when_the_clock_does() {
        let time = Arc::new(AtomicU64::new(100));
        let told = Arc::clone(&time);
        let (journal, mut reader) = open(LIMITS, Box::new(move || told.load(Ordering::Relaxed)));
        for now in [200, 150, 250] {
            time.store(now, Ordering::Relaxed);
            append(&journal, 1).unwrap();
        }
        let mut batch = Vec::new();
        reader.next_batch(&mut batch);
        let stamps: Vec<u64> = batch.iter().map(|record| record.received_unix_nano).collect();
        assert_eq!(stamps, [100, 200, 200, 250]);
    }

    #[test]
    fn a_full_disk_refuses_requests_until_it_has_room_again() {
        let (journal, _reader) = open(LIMITS, counting_clock());
        journal.set_disk_full(true);
        assert_eq!(append(&journal, 1), Err(AppendError::DiskFull));
        journal.set_disk_full(false);
        append(&journal, 1).unwrap();
    }

    #[test]
    fn a_waiting_reader_is_woken() {
        let (journal, mut reader) = open(LIMITS, counting_clock());
        let mut batch = Vec::new();
        reader.next_batch(&mut batch);
        batch.clear();
        let thread = std::thread::spawn(move || {
            reader.next_batch(&mut batch);
            batch.len()
        });
        append(&journal, 1).unwrap();
        assert_eq!(thread.join().unwrap(), 1);
    }
}
