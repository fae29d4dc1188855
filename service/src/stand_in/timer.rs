//! [`Timer`]: a thread that wakes parked invocations at their times. Timers of the async runtime are only exact to a
//! millisecond.

use std::collections::BinaryHeap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::mailbox::Mailbox;
use crate::clock::Clock;
use crate::station::scheduling;

/// Wakes mailboxes at given times.
pub struct Timer(Arc<Shared>);

struct Shared {
    /// One entry for each parked invocation. Old entries remain after an earlier time has replaced them; they have no effect.
    entries: Mutex<BinaryHeap<Entry>>,
    is_earlier: Condvar,
}

struct Entry {
    due_ns: u64,
    mailbox: Arc<Mailbox>,
}

impl Timer {
    /// Starts the thread, which runs until the process ends.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(clock: Clock) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            entries: Mutex::default(),
            is_earlier: Condvar::new(),
        });
        let of_thread = shared.clone();
        std::thread::Builder::new()
            .name("stand-in-timer".to_owned())
            .spawn(move || {
                scheduling::request_exact_wakeups();
                of_thread.run(clock);
            })?;
        Ok(Self(shared))
    }

    pub fn wake_at(&self, due_ns: u64, mailbox: Arc<Mailbox>) {
        let mut entries = self.0.lock();
        let is_earliest = entries.peek().is_none_or(|first| due_ns < first.due_ns);
        entries.push(Entry { due_ns, mailbox });
        drop(entries);
        if is_earliest {
            self.0.is_earlier.notify_one();
        }
    }
}

impl Shared {
    fn run(&self, clock: Clock) {
        let mut entries = self.lock();
        loop {
            let wait_ns = entries
                .peek()
                .map(|first| first.due_ns.saturating_sub(clock.now_ns()));
            entries = match wait_ns {
                Some(0) => {
                    let due = entries.pop();
                    drop(entries);
                    if let Some(Entry { due_ns, mailbox }) = due {
                        // A panic must fail only its own invocation. If it ended this thread, all other parked invocations
                        // would wait forever.
                        let woken = catch_unwind(AssertUnwindSafe(|| mailbox.time_has_come(due_ns)));
                        if woken.is_err() {
                            tracing::error!("the execution of a plan panicked");
                        }
                    }
                    self.lock()
                }
                Some(wait_ns) => {
                    let waited = self
                        .is_earlier
                        .wait_timeout(entries, Duration::from_nanos(wait_ns));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .is_earlier
                    .wait(entries)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, BinaryHeap<Entry>> {
        // No code panics while holding the lock, so poisoning is ignored.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.due_ns == other.due_ns
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// Reversed, because the heap returns its largest entry first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.due_ns.cmp(&self.due_ns)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::stand_in::mailbox::Parked;

    struct Panics;

    impl Parked for Panics {
        fn advance(self: Box<Self>) {
            panic!("expected by the test");
        }
    }

    struct Reports(mpsc::Sender<()>);

    impl Parked for Reports {
        fn advance(self: Box<Self>) {
            self.0.send(()).unwrap();
        }
    }

    /// This test fails if a panic of one invocation ends the timer's thread.
    #[test]
    fn a_panic_of_one_invocation_does_not_end_the_timer() {
        let timer = Timer::start(Clock::start()).unwrap();
        let wake_at = |due_ns: u64, parked: Box<dyn Parked>| {
            let mailbox = Arc::<Mailbox>::default();
            assert_eq!(mailbox.park(parked, Some(due_ns)).ok(), Some(true));
            timer.wake_at(due_ns, mailbox);
        };
        let (reports, reported) = mpsc::channel();
        wake_at(0, Box::new(Panics));
        wake_at(1, Box::new(Reports(reports)));
        reported.recv_timeout(Duration::from_secs(30)).unwrap();
    }
}
