//! Finished spans on their way out: a bounded queue that is emptied by a thread of its own, which retries
//! until the end and counts what it has to drop.
//!
//! The SDK's batch processor gives up a batch after few tries and tells of drops at shutdown only.

use crate::clock::Clock;
use opentelemetry::Context;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

/// What became of one try to send a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// The receiver has it; it could not use that many of its spans.
    Accepted {
        /// Spans that the receiver rejected.
        rejected: u64,
    },
    /// It may be sent again.
    Retry(String),
    /// It will never be accepted.
    Refused(String),
}

/// Sends batches. `encode` is called once a batch, `send` as often as it takes.
pub trait Transport: Send + 'static {
    /// The batch as it goes over the wire.
    fn encode(&mut self, spans: Vec<SpanData>) -> bytes::Bytes;
    /// One try.
    fn send(&mut self, batch: bytes::Bytes) -> Sent;
}

/// Bounds and delays of the queue.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Spans in the queue at most.
    pub queue_size: usize,
    /// Spans in a batch at most.
    pub batch_size: usize,
    /// Longest time a span waits for a batch to fill.
    pub schedule_delay: Duration,
}

/// Spans by their fate.
#[derive(Debug, Default)]
pub struct SpanCounts {
    /// Accepted by the receiver.
    pub exported: AtomicU64,
    /// Lost: no room in the queue, refused by the receiver, or still unsent at the end.
    pub dropped: AtomicU64,
    /// Tries that failed and were repeated.
    pub retries: AtomicU64,
}

/// The processor that the SDK hands finished spans to.
#[derive(Debug, Clone)]
pub struct SpanQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    wake_sender: Condvar,
    idle: Condvar,
    limits: Limits,
    clock: Clock,
    counts: Arc<SpanCounts>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<SpanData>,
    in_flight: usize,
    flush_wanted: bool,
    deadline: Option<Instant>,
    ended: bool,
}

impl SpanQueue {
    /// Starts the sending thread.
    ///
    /// # Errors
    /// The system's, if no thread can be had.
    pub fn start(
        limits: Limits,
        clock: Clock,
        counts: Arc<SpanCounts>,
        transport: impl Transport,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake_sender: Condvar::new(),
            idle: Condvar::new(),
            limits,
            clock,
            counts,
        });
        let sender = shared.clone();
        std::thread::Builder::new()
            .name("span-sender".into())
            .spawn(move || sender.run(transport))?;
        Ok(Self(shared))
    }

    /// Sends what there is without waiting for more.
    pub fn flush_soon(&self) {
        self.0.lock().flush_wanted = true;
        self.0.wake_sender.notify_one();
    }
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        self.0.onto_our_clock(&mut span);
        let mut state = self.0.lock();
        if state.ended || state.waiting.len() >= self.0.limits.queue_size {
            drop(state);
            self.0.counts.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.waiting.push_back(span);
        let is_batch = state.waiting.len() == self.0.limits.batch_size;
        drop(state);
        if is_batch {
            self.0.wake_sender.notify_one();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush_soon();
        let mut state = self.0.lock();
        while !state.ended && (!state.waiting.is_empty() || state.in_flight > 0) {
            state = self.0.idle.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        let mut state = self.0.lock();
        state.deadline.get_or_insert(Instant::now() + timeout);
        self.0.wake_sender.notify_one();
        while !state.ended {
            state = self.0.idle.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match self.0.counts.dropped.load(Ordering::Relaxed) {
            0 => Ok(()),
            dropped => Err(OTelSdkError::InternalFailure(format!(
                "{dropped} spans were dropped"
            ))),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Inner spans are stamped by `tracing` from the wall clock; a step of it must not part them from their SERVER span.
    fn onto_our_clock(&self, span: &mut SpanData) {
        if span.instrumentation_scope.name() == super::INNER_SCOPE {
            let ahead_ns = self.clock.wall_minus_this_ns();
            span.start_time = shifted_back(span.start_time, ahead_ns);
            span.end_time = shifted_back(span.end_time, ahead_ns).max(span.start_time);
        }
    }

    fn run(&self, mut transport: impl Transport) {
        while let Some(spans) = self.next_batch() {
            let count = spans.len() as u64;
            let batch = transport.encode(spans);
            self.deliver(&mut transport, batch, count);
            self.lock().in_flight = 0;
            self.idle.notify_all();
        }
        let mut state = self.lock();
        let unsent = state.waiting.len() as u64;
        state.waiting.clear();
        state.ended = true;
        self.counts.dropped.fetch_add(unsent, Ordering::Relaxed);
        self.idle.notify_all();
    }

    /// Waits for a full batch, the schedule or a flush. None when the end has come and nothing is left, or no time.
    fn next_batch(&self) -> Option<Vec<SpanData>> {
        let mut state = self.lock();
        let mut due = Instant::now() + self.limits.schedule_delay;
        loop {
            let now = Instant::now();
            if state
                .deadline
                .is_some_and(|deadline| state.waiting.is_empty() || now >= deadline)
            {
                return None;
            }
            let is_due = now >= due || state.flush_wanted || state.deadline.is_some();
            if state.waiting.len() >= self.limits.batch_size || (is_due && !state.waiting.is_empty()) {
                let count = state.waiting.len().min(self.limits.batch_size);
                state.in_flight = count;
                let batch = state.waiting.drain(..count).collect();
                state.flush_wanted &= !state.waiting.is_empty();
                return Some(batch);
            }
            if is_due {
                state.flush_wanted = false;
                due = now + self.limits.schedule_delay;
                self.idle.notify_all();
            }
            let wait = due.saturating_duration_since(now);
            state = self
                .wake_sender
                .wait_timeout(state, wait)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn deliver(&self, transport: &mut impl Transport, batch: bytes::Bytes, count: u64) {
        let mut delay = RETRY_DELAY_MIN;
        let mut failures = 0_u64;
        loop {
            match transport.send(batch.clone()) {
                Sent::Accepted { rejected } => {
                    self.counts
                        .exported
                        .fetch_add(count.saturating_sub(rejected), Ordering::Relaxed);
                    self.counts
                        .dropped
                        .fetch_add(rejected.min(count), Ordering::Relaxed);
                    if failures > 0 {
                        tracing::info!(failures, "span export works again");
                    }
                    return;
                }
                Sent::Refused(why) => {
                    tracing::warn!(spans = count, "the receiver refused spans, which are lost: {why}");
                    self.counts.dropped.fetch_add(count, Ordering::Relaxed);
                    return;
                }
                Sent::Retry(why) => {
                    if failures == 0 {
                        tracing::warn!("span export failed and is tried again until it works: {why}");
                    }
                    failures += 1;
                    self.counts.retries.fetch_add(1, Ordering::Relaxed);
                }
            }
            if !self.pause(delay) {
                self.counts.dropped.fetch_add(count, Ordering::Relaxed);
                return;
            }
            delay = (delay * 2).min(RETRY_DELAY_MAX);
        }
    }

    /// Waits before the next try; false when there is no time for one. The end cuts a long delay short.
    fn pause(&self, delay: Duration) -> bool {
        let started = Instant::now();
        let mut state = self.lock();
        loop {
            let waited = started.elapsed();
            let (wanted, in_time) = match state.deadline {
                Some(deadline) => (delay.min(RETRY_DELAY_MIN), Instant::now() < deadline),
                None => (delay, true),
            };
            if waited >= wanted || !in_time {
                return in_time;
            }
            state = self
                .wake_sender
                .wait_timeout(state, wanted - waited)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

fn shifted_back(time: SystemTime, ahead_ns: i128) -> SystemTime {
    let amount = Duration::from_nanos(u64::try_from(ahead_ns.unsigned_abs()).unwrap_or(0));
    let shifted = if ahead_ns >= 0 {
        time.checked_sub(amount)
    } else {
        time.checked_add(amount)
    };
    shifted.unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use std::sync::mpsc;

    /// Answers with what the test scripted, then accepts everything.
    struct Scripted {
        answers: VecDeque<Sent>,
        sent: mpsc::Sender<usize>,
    }

    impl Transport for Scripted {
        fn encode(&mut self, spans: Vec<SpanData>) -> bytes::Bytes {
            vec![0; spans.len()].into()
        }

        fn send(&mut self, batch: bytes::Bytes) -> Sent {
            self.sent.send(batch.len()).unwrap();
            self.answers.pop_front().unwrap_or(Sent::Accepted { rejected: 0 })
        }
    }

    struct Bench {
        provider: SdkTracerProvider,
        counts: Arc<SpanCounts>,
        sent: mpsc::Receiver<usize>,
    }

    fn bench(
        queue_size: usize,
        batch_size: usize,
        delay: Duration,
        answers: impl Into<VecDeque<Sent>>,
    ) -> Bench {
        let (sender, sent) = mpsc::channel();
        let counts = Arc::new(SpanCounts::default());
        let limits = Limits {
            queue_size,
            batch_size,
            schedule_delay: delay,
        };
        let transport = Scripted {
            answers: answers.into(),
            sent: sender,
        };
        let queue = SpanQueue::start(limits, Clock::start(), counts.clone(), transport).unwrap();
        let provider = SdkTracerProvider::builder().with_span_processor(queue).build();
        Bench {
            provider,
            counts,
            sent,
        }
    }

    fn make_spans(bench: &Bench, count: usize) {
        let tracer = bench.provider.tracer("test");
        for _ in 0..count {
            drop(tracer.start("span"));
        }
    }

    fn fate(bench: &Bench) -> (u64, u64) {
        (
            bench.counts.exported.load(Ordering::Relaxed),
            bench.counts.dropped.load(Ordering::Relaxed),
        )
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn a_full_batch_leaves_at_once_and_the_rest_at_the_end() {
        let bench = bench(100, 10, LONG, []);
        make_spans(&bench, 10);
        assert_eq!(bench.sent.recv().unwrap(), 10);
        make_spans(&bench, 3);
        bench.provider.shutdown().unwrap();
        assert_eq!(bench.sent.recv().unwrap(), 3);
        assert_eq!(fate(&bench), (13, 0));
    }

    #[test]
    fn a_failed_export_is_tried_again_with_the_same_batch() {
        let bench = bench(
            100,
            10,
            LONG,
            [Sent::Retry("away".into()), Sent::Retry("away".into())],
        );
        make_spans(&bench, 4);
        bench.provider.force_flush().unwrap();
        assert_eq!(bench.sent.try_iter().collect::<Vec<_>>(), [4, 4, 4]);
        assert_eq!(fate(&bench), (4, 0));
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted() {
        let bench = bench(5, 10, LONG, []);
        make_spans(&bench, 8);
        bench.provider.force_flush().unwrap();
        assert_eq!(fate(&bench), (5, 3));
    }

    #[test]
    fn refused_and_rejected_spans_are_counted_as_lost() {
        let bench = bench(
            100,
            10,
            LONG,
            [Sent::Refused("no".into()), Sent::Accepted { rejected: 2 }],
        );
        make_spans(&bench, 10);
        bench.sent.recv().unwrap();
        make_spans(&bench, 10);
        bench.sent.recv().unwrap();
        bench.provider.force_flush().unwrap();
        assert_eq!(fate(&bench), (8, 12));
    }

    #[test]
    fn at_the_end_a_receiver_that_is_away_costs_the_spans_and_not_the_exit() {
        let bench = bench(100, 10, LONG, vec![Sent::Retry("away".into()); 1000]);
        make_spans(&bench, 15);
        assert!(
            bench
                .provider
                .shutdown_with_timeout(Duration::from_millis(50))
                .is_err()
        );
        assert_eq!(fate(&bench), (0, 15));
    }

    #[test]
    fn the_schedule_sends_a_batch_that_does_not_fill() {
        let bench = bench(100, 10, Duration::from_millis(1), []);
        make_spans(&bench, 1);
        assert_eq!(bench.sent.recv().unwrap(), 1);
    }
}
