//! A bounded queue of finished spans. Its own thread sends them, retries until the service stops, and counts dropped spans.
//!
//! It replaces the SDK's batch processor, which gives up a batch after a few attempts and reports drops only at shutdown. Each
//! span is encoded by the thread that ends it. The queue holds the bytes, a third of the span's size in memory.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use otlp_send::{Accepted, Failure};

use super::{encode, inner};
use crate::clock::Clock;

const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

/// Maximum size of all encoded spans in the queue.
const QUEUE_BYTES_MAX: usize = 128 << 20;

/// Maximum number of empty buffers kept for reuse: while one batch is sent, another one fills.
const SPARE_BUFFERS_MAX: usize = 2;

thread_local! {
    /// A scratch buffer and the buffer of the last encoded span, kept to reuse their memory.
    static ENCODED: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

pub trait Transport: Send + 'static {
    /// Sends an encoded ExportTraceServiceRequest once.
    fn send(&mut self, request: Bytes) -> Result<Accepted, Failure>;
}

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum number of spans in the queue.
    pub queue_size: usize,
    /// Maximum number of spans in a batch.
    pub batch_size: usize,
    /// Maximum time that a span waits for its batch to fill.
    pub schedule_delay: Duration,
}

/// Spans by outcome.
#[derive(Debug, Default)]
pub struct SpanCounts {
    pub exported: AtomicU64,
    /// Lost: the queue was full, the receiver refused them, or they were unsent when the service stopped.
    pub dropped: AtomicU64,
    /// Failed attempts that were retried.
    pub retries: AtomicU64,
}

/// The SDK passes finished spans to this processor.
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
    /// Batches. All except the last one are full.
    waiting: VecDeque<Batch>,
    waiting_spans: usize,
    waiting_bytes: usize,
    spare: Vec<Vec<u8>>,
    in_flight: bool,
    flush_wanted: bool,
    deadline: Option<Instant>,
    ended: bool,
}

/// Encoded spans by scope; there are few scopes.
#[derive(Debug, Default)]
struct Batch {
    count: usize,
    scopes: Vec<(InstrumentationScope, Vec<u8>)>,
}

impl Batch {
    fn push(&mut self, scope: &InstrumentationScope, span: &[u8], spare: &mut Vec<Vec<u8>>) {
        self.count += 1;
        match self.scopes.iter_mut().find(|(known, _)| known == scope) {
            Some((_, spans)) => spans.extend_from_slice(span),
            None => {
                let mut spans = spare.pop().unwrap_or_default();
                spans.extend_from_slice(span);
                self.scopes.push((scope.clone(), spans));
            }
        }
    }

    fn bytes(&self) -> usize {
        self.scopes.iter().map(|(_, spans)| spans.len()).sum()
    }
}

impl SpanQueue {
    /// Starts the sending thread.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(
        limits: Limits,
        clock: Clock,
        counts: Arc<SpanCounts>,
        resource: &Resource,
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
        let (sender, resource) = (shared.clone(), encode::resource(resource));
        std::thread::Builder::new()
            .name("span-sender".into())
            .spawn(move || sender.run(transport, &resource))?;
        Ok(Self(shared))
    }

    /// Sends all waiting spans without waiting for a full batch.
    pub fn flush_soon(&self) {
        self.0.lock().flush_wanted = true;
        self.0.wake_sender.notify_one();
    }
}

impl SpanProcessor for SpanQueue {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        self.0.convert_clock(&mut span);
        ENCODED.with_borrow_mut(|(scratch, encoded)| {
            encoded.clear();
            encode::span(&span, scratch, encoded);
            self.0.keep(&span.instrumentation_scope, encoded);
        });
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush_soon();
        let mut state = self.0.lock();
        while !state.ended && (!state.waiting.is_empty() || state.in_flight) {
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

    /// `tracing` takes timestamps of inner spans from the wall clock. This converts them to the clock of their SERVER span,
    /// so that a clock step does not separate them.
    fn convert_clock(&self, span: &mut SpanData) {
        if span.instrumentation_scope.name() == inner::SCOPE {
            let lead_ns = self.clock.wall_minus_this_ns();
            span.start_time = shifted_back(span.start_time, lead_ns);
            span.end_time = shifted_back(span.end_time, lead_ns).max(span.start_time);
        }
    }

    fn keep(&self, scope: &InstrumentationScope, span: &[u8]) {
        let mut state = self.lock();
        let is_full = state.waiting_spans >= self.limits.queue_size || state.waiting_bytes >= QUEUE_BYTES_MAX;
        if state.ended || is_full {
            drop(state);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.waiting_spans += 1;
        state.waiting_bytes += span.len();
        if state
            .waiting
            .back()
            .is_none_or(|last| last.count >= self.limits.batch_size)
        {
            state.waiting.push_back(Batch::default());
        }
        let State { waiting, spare, .. } = &mut *state;
        let is_batch = waiting.back_mut().is_some_and(|last| {
            last.push(scope, span, spare);
            last.count == self.limits.batch_size
        });
        drop(state);
        if is_batch {
            self.wake_sender.notify_one();
        }
    }

    fn run(&self, mut transport: impl Transport, resource: &[u8]) {
        while let Some(batch) = self.next_batch() {
            let request = encode::request(resource, &batch.scopes).into();
            let count = batch.count as u64;
            self.recycle(batch);
            self.deliver(&mut transport, request, count);
            self.lock().in_flight = false;
            self.idle.notify_all();
        }
        let mut state = self.lock();
        let unsent = state.waiting_spans as u64;
        state.waiting.clear();
        state.ended = true;
        self.counts.dropped.fetch_add(unsent, Ordering::Relaxed);
        self.idle.notify_all();
    }

    fn recycle(&self, batch: Batch) {
        let mut state = self.lock();
        for (_, mut spans) in batch.scopes {
            if state.spare.len() < SPARE_BUFFERS_MAX {
                spans.clear();
                state.spare.push(spans);
            }
        }
    }

    /// Waits for a full batch, the schedule or a flush. Returns none during a shutdown, as soon as the queue is empty or the time
    /// is over.
    fn next_batch(&self) -> Option<Batch> {
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
            let is_full = state
                .waiting
                .front()
                .is_some_and(|first| first.count >= self.limits.batch_size);
            if let Some(batch) = (is_due || is_full).then(|| state.waiting.pop_front()).flatten() {
                state.waiting_spans -= batch.count;
                state.waiting_bytes -= batch.bytes();
                state.in_flight = true;
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

    /// Retries until the receiver accepts or refuses the request, or the shutdown deadline passes.
    fn deliver(&self, transport: &mut impl Transport, request: Bytes, count: u64) {
        let mut backoff = RETRY_DELAY_MIN;
        let mut failures = 0_u64;
        loop {
            let failure = match transport.send(request.clone()) {
                Ok(accepted) => {
                    self.count_accepted(&accepted, count);
                    if failures > 0 {
                        tracing::info!(failures, "span export recovered");
                    }
                    return;
                }
                Err(failure) => failure,
            };
            let error = &failure.error;
            let Some(pause) = failure.pause(backoff) else {
                tracing::warn!(
                    spans = count,
                    "the receiver refused spans, which are lost: {error}"
                );
                self.counts.dropped.fetch_add(count, Ordering::Relaxed);
                return;
            };
            if failures == 0 {
                tracing::warn!("span export failed and is retried until it succeeds: {error}");
            }
            failures += 1;
            self.counts.retries.fetch_add(1, Ordering::Relaxed);
            if !self.pause(pause) {
                self.counts.dropped.fetch_add(count, Ordering::Relaxed);
                return;
            }
            backoff = (backoff * 2).min(RETRY_DELAY_MAX);
        }
    }

    fn count_accepted(&self, accepted: &Accepted, count: u64) {
        let rejected = accepted.rejected.min(count);
        self.counts
            .exported
            .fetch_add(count - rejected, Ordering::Relaxed);
        self.counts.dropped.fetch_add(rejected, Ordering::Relaxed);
        if accepted.rejected > 0 || accepted.message.is_some() {
            tracing::warn!(
                rejected = accepted.rejected,
                "the receiver reported a problem with spans: {}",
                accepted.message.as_deref().unwrap_or_default()
            );
        }
    }

    /// Waits before the next attempt. Returns false if there is no time for one. The shutdown shortens long delays.
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

fn shifted_back(time: SystemTime, lead_ns: i128) -> SystemTime {
    let amount = Duration::from_nanos(u64::try_from(lead_ns.unsigned_abs()).unwrap_or(0));
    let shifted = if lead_ns >= 0 {
        time.checked_sub(amount)
    } else {
        time.checked_add(amount)
    };
    shifted.unwrap_or(time)
}

#[cfg(test)]
mod tests;
