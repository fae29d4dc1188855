//! The bounds of the queue, and sources that fail.

use std::sync::Mutex;

use super::*;
use crate::testing::post;

/// A source of `left` requests with bodies of this size, which counts the calls.
struct Source {
    left: u64,
    body_bytes: usize,
    is_shared: bool,
    calls: Arc<AtomicU64>,
    /// Index of the target of the last request.
    last_target: usize,
}

impl Requests for Source {
    fn next(&mut self) -> Result<Option<Prepared>, SourceError> {
        if self.left == 0 {
            return Err("broken".into());
        }
        self.left -= 1;
        self.calls.fetch_add(1, Ordering::Relaxed);
        let target = if self.left == 0 { self.last_target } else { 0 };
        Ok(Some(Prepared {
            is_shared: self.is_shared,
            ..post(target, self.body_bytes)
        }))
    }
}

fn source(left: u64, body_bytes: usize) -> (Source, Arc<AtomicU64>) {
    let calls = Arc::<AtomicU64>::default();
    let source = Source {
        left,
        body_bytes,
        is_shared: false,
        calls: Arc::clone(&calls),
        last_target: 0,
    };
    (source, calls)
}

/// Runs a composer until its queue is full or it has ended, and returns its outcome.
fn fill(source: Source) -> (Feed, std::thread::JoinHandle<Result<(), String>>) {
    let (composer, feed) = composer(Box::new(source), 1);
    let thread = std::thread::spawn(move || composer.run().map_err(|error| error.to_string()));
    while !feed.ahead.is_filled.load(Ordering::Relaxed) {
        std::thread::yield_now();
    }
    (feed, thread)
}

fn drain(feed: &Feed) -> usize {
    let mut count = 0;
    while let Next::Request(_) = feed.next(|| false) {
        count += 1;
    }
    count
}

#[test]
fn the_queue_is_bounded_in_requests_and_passes_on_every_one() {
    let total = 2 * AHEAD_REQUESTS_MAX as u64;
    let (mut source, calls) = source(total, 0);
    source.is_shared = true;
    let (feed, thread) = fill(source);
    // One more is in the composer's hand.
    assert_eq!(calls.load(Ordering::Relaxed), AHEAD_REQUESTS_MAX as u64 + 1);
    assert_eq!(drain(&feed), total as usize);
    assert_eq!(thread.join().unwrap(), Err("broken".to_owned()));
}

#[test]
fn the_queue_is_bounded_in_bytes_and_larger_bodies_pass_alone() {
    let (source, calls) = source(40, AHEAD_BYTES_MAX as usize / 8);
    let (feed, thread) = fill(source);
    // Seven and their heads fit, and one more is in the composer's hand.
    assert_eq!(calls.load(Ordering::Relaxed), 8);
    assert!(feed.ahead.bytes.load(Ordering::Relaxed) <= AHEAD_BYTES_MAX);
    assert_eq!(drain(&feed), 40);
    assert!(thread.join().unwrap().is_err());

    let (source, _) = self::source(2, AHEAD_BYTES_MAX as usize + 1);
    let (feed, thread) = fill(source);
    assert_eq!(drain(&feed), 2);
    assert!(thread.join().unwrap().is_err());
    assert_eq!(feed.ahead.bytes.load(Ordering::Relaxed), 0);
}

#[test]
fn a_composer_ends_when_nobody_takes_its_requests() {
    for body_bytes in [0, AHEAD_BYTES_MAX as usize / 4] {
        let (source, _) = source(u64::MAX, body_bytes);
        let (feed, thread) = fill(source);
        drop(feed);
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
}

#[test]
fn a_request_to_a_target_that_does_not_exist_ends_the_stream() {
    let (mut source, _) = source(2, 0);
    source.last_target = 1;
    let (feed, thread) = fill(source);
    assert_eq!(drain(&feed), 1);
    let error = thread.join().unwrap().unwrap_err();
    assert_eq!(error, "request to target 1, but there are 1");
}

#[test]
fn an_empty_queue_waits_for_the_composer_or_the_stop_flag() {
    struct Waits(Arc<Mutex<()>>);
    impl Requests for Waits {
        fn next(&mut self) -> Result<Option<Prepared>, SourceError> {
            drop(self.0.lock().unwrap());
            Ok(None)
        }
    }
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap();
    let (composer, feed) = composer(Box::new(Waits(Arc::clone(&gate))), 1);
    let thread = std::thread::spawn(move || composer.run().is_ok());
    assert!(matches!(feed.next(|| true), Next::Stopped));
    drop(closed);
    assert!(matches!(feed.next(|| false), Next::End));
    assert!(thread.join().unwrap());
}
