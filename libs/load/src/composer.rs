//! [`Composer`]: the thread that prepares requests ahead of their times, and its bounded queue to the pacing thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use crate::clock;
use crate::stream::{Prepared, Requests, SourceError};

/// Maximum number of requests that are prepared ahead: more than a second at 20,000 requests a second. So neither a slow source
/// nor a busy CPU delays the pacing thread.
pub const AHEAD_REQUESTS_MAX: usize = 1 << 15;
/// Maximum memory of the requests that are prepared ahead: 0.4 s at 20,000 requests a second, with bodies of 8 KiB that are not
/// shared between requests. A single larger request is accepted if the queue is empty.
pub const AHEAD_BYTES_MAX: u64 = 64 << 20;
/// Pause of the composer when the queue is full. A full queue lasts longer than this, however many requests a second are due. So
/// the pacing thread never has to wake the composer.
const FULL_PAUSE: Duration = Duration::from_millis(5);
/// Maximum time for which the start of the stream waits until the queue is full. If a source prepares requests more slowly than
/// they are due, they are late all the same.
const HEAD_START_MAX: Duration = Duration::from_secs(1);
/// Interval at which the pacing thread checks an empty queue for the stop flag.
const STOP_CHECK: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
struct Ahead {
    /// Memory of the requests in the queue.
    bytes: AtomicU64,
    /// Whether the queue was full once, or the source has ended.
    is_filled: AtomicBool,
    /// Whether the other side has stopped taking requests.
    is_abandoned: AtomicBool,
}

/// The composer's side: the source and the queue.
pub struct Composer {
    requests: Box<dyn Requests>,
    targets: usize,
    to_pacer: SyncSender<Arc<Prepared>>,
    ahead: Arc<Ahead>,
}

/// The pacing thread's side of the queue.
#[derive(Debug)]
pub struct Feed {
    from_composer: Receiver<Arc<Prepared>>,
    ahead: Arc<Ahead>,
}

/// The next entry of the queue.
#[derive(Debug)]
pub enum Next {
    Request(Arc<Prepared>),
    /// The source has ended, and all its requests were taken.
    End,
    /// The stop flag was set while the queue was empty.
    Stopped,
}

/// A composer for requests to this number of targets, and the pacing thread's side of its queue.
pub fn composer(requests: Box<dyn Requests>, targets: usize) -> (Composer, Feed) {
    let (to_pacer, from_composer) = sync_channel(AHEAD_REQUESTS_MAX);
    let ahead = Arc::<Ahead>::default();
    let composer = Composer {
        requests,
        targets,
        to_pacer,
        ahead: Arc::clone(&ahead),
    };
    (composer, Feed { from_composer, ahead })
}

impl Composer {
    /// Runs until the source has ended or failed, or the pacing thread has stopped.
    pub fn run(mut self) -> Result<(), SourceError> {
        // The thread gives way to others, because the queue gives it time. The pacing thread has no time to lose.
        clock::set_batch_policy();
        let outcome = self.compose();
        self.ahead.is_filled.store(true, Ordering::Relaxed);
        outcome
    }

    fn compose(&mut self) -> Result<(), SourceError> {
        while let Some(prepared) = self.requests.next()? {
            if prepared.target >= self.targets {
                let (target, targets) = (prepared.target, self.targets);
                return Err(format!("request to target {target}, but there are {targets}").into());
            }
            if !self.push(Arc::new(prepared)) {
                break;
            }
        }
        Ok(())
    }

    /// Waits until there is space for the request in the queue. Returns false if the other side has stopped taking requests.
    fn push(&self, mut prepared: Arc<Prepared>) -> bool {
        let held = prepared.held_bytes() as u64;
        loop {
            let before = self.ahead.bytes.load(Ordering::Relaxed);
            if before == 0 || before + held <= AHEAD_BYTES_MAX {
                self.ahead.bytes.fetch_add(held, Ordering::Relaxed);
                match self.to_pacer.try_send(prepared) {
                    Ok(()) => return true,
                    Err(TrySendError::Disconnected(_)) => return false,
                    Err(TrySendError::Full(back)) => prepared = back,
                }
                self.ahead.bytes.fetch_sub(held, Ordering::Relaxed);
            }
            if self.ahead.is_abandoned.load(Ordering::Relaxed) {
                return false;
            }
            self.ahead.is_filled.store(true, Ordering::Relaxed);
            std::thread::sleep(FULL_PAUSE);
        }
    }
}

impl Feed {
    /// Waits until the queue is full or contains all requests, but only for a limited time.
    pub fn wait_until_filled(&self) {
        let deadline = Instant::now() + HEAD_START_MAX;
        while !self.ahead.is_filled.load(Ordering::Relaxed) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The next request. Waits for the composer if the queue is empty.
    pub fn next(&self, stop: impl Fn() -> bool) -> Next {
        let received = match self.from_composer.try_recv() {
            Ok(prepared) => Some(prepared),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => loop {
                match self.from_composer.recv_timeout(STOP_CHECK) {
                    Ok(prepared) => break Some(prepared),
                    Err(RecvTimeoutError::Disconnected) => break None,
                    Err(RecvTimeoutError::Timeout) if stop() => return Next::Stopped,
                    Err(RecvTimeoutError::Timeout) => {}
                }
            },
        };
        let Some(prepared) = received else {
            return Next::End;
        };
        self.ahead
            .bytes
            .fetch_sub(prepared.held_bytes() as u64, Ordering::Relaxed);
        Next::Request(prepared)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.ahead.is_abandoned.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
