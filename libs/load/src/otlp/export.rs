//! The OTLP exporter: a bounded queue, batches, retries, and a count of every lost span.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::resource::v1::Resource;
use otlp_send::{Destination, Sender, TlsError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::exchange::Exchange;
use crate::ids::Ids;
use crate::otlp::alive;
use crate::otlp::spans::{SpanEncoder, alive_request};

/// Spans per export request.
const BATCH_SPANS_MAX: usize = 512;
/// Maximum time for which a span waits for its batch to fill.
const BATCH_WAIT: Duration = Duration::from_millis(200);
/// Maximum number of spans that wait while the collector does not answer: about 150 MB, a minute at 20,000/s.
const QUEUE_SPANS_MAX: u64 = 1 << 20;
/// Maximum memory of the spans that wait. It limits their number only if most requests have a long URL of their own.
const QUEUE_BYTES_MAX: u64 = 640 << 20;
/// Maximum number of concurrent export requests: the collector may wait for its disk before it answers.
const EXPORTS_MAX: usize = 4;

/// Counts of a run's spans by outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// All spans.
    pub made: u64,
    /// Accepted by the collector.
    pub delivered: u64,
    /// Refused by the collector, in whole requests or by partial success.
    pub rejected: u64,
    /// Dropped because the queue was full.
    pub dropped: u64,
    pub last_error: Option<String>,
}

impl Delivery {
    /// Spans that the collector has not accepted.
    pub fn lost(&self) -> u64 {
        self.made.saturating_sub(self.delivered)
    }
}

#[derive(Debug, Default)]
struct Counters {
    made: AtomicU64,
    queued: AtomicU64,
    queued_bytes: AtomicU64,
    delivered: AtomicU64,
    rejected: AtomicU64,
    dropped: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl Counters {
    /// Counts spans that have left the queue.
    fn release(&self, spans: u64, bytes: u64) {
        self.queued.fetch_sub(spans, Ordering::Relaxed);
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn record_error(&self, error: &str) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_owned());
    }

    fn delivery(&self) -> Delivery {
        Delivery {
            made: self.made.load(Ordering::Relaxed),
            delivered: self.delivered.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            last_error: self
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }
}

fn held_bytes(exchanges: &[Exchange]) -> u64 {
    exchanges
        .iter()
        .map(|exchange| exchange.held_bytes() as u64)
        .sum()
}

enum Input {
    Batch(Vec<Exchange>),
    /// A request with a control span, sent at once. The reply is an error if the receiver has not accepted the request by the
    /// deadline.
    Control {
        request: Bytes,
        deadline: Instant,
        reply: std_mpsc::Sender<Result<(), String>>,
    },
    /// Stops the thread at once.
    End,
    /// The reply follows when everything queued before is delivered or given up, at the latest at the deadline.
    Flush {
        deadline: Instant,
        reply: std_mpsc::Sender<()>,
    },
}

/// An unusable destination, or a control span that was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("cannot send to {endpoint}")]
    Tls { endpoint: String, source: TlsError },
    #[error("cannot start the exporter: {0}")]
    Start(#[from] std::io::Error),
    /// The receiver has not accepted a control span.
    #[error("cannot send {name} to {endpoint}: {error}; check that a normalizer or collector runs there")]
    Control {
        /// Name of the span.
        name: String,
        endpoint: String,
        error: String,
    },
}

/// The handle of the exporter's thread. Dropping it stops the thread without waiting for the queue.
#[derive(Debug)]
pub struct Exporter {
    endpoint: String,
    input: Option<mpsc::UnboundedSender<Input>>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

/// The recorder's end of the queue, on which it never waits.
#[derive(Debug, Clone)]
pub struct SpanQueue {
    input: mpsc::UnboundedSender<Input>,
    counters: Arc<Counters>,
}

impl SpanQueue {
    /// Queues a span for each exchange. If the queue is full, counts them as dropped.
    pub fn push(&self, batch: Vec<Exchange>) {
        let (spans, bytes) = (batch.len() as u64, held_bytes(&batch));
        self.counters.made.fetch_add(spans, Ordering::Relaxed);
        let queued = self.counters.queued.fetch_add(spans, Ordering::Relaxed);
        let queued_bytes = self.counters.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let is_full = queued + spans > QUEUE_SPANS_MAX || queued_bytes + bytes > QUEUE_BYTES_MAX;
        if is_full || self.input.send(Input::Batch(batch)).is_err() {
            self.counters.release(spans, bytes);
            self.counters.dropped.fetch_add(spans, Ordering::Relaxed);
        }
    }
}

impl Exporter {
    /// Starts the exporter's thread, which connects when it sends the first request. `ids` are those of the session.
    pub fn start(destination: &Destination, resource: &Resource, ids: Ids) -> Result<Self, ExportError> {
        let endpoint = destination.to_string();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let sender = {
            let _inside = runtime.enter();
            Sender::new(destination)
        };
        let sender = sender.map_err(|source| ExportError::Tls {
            endpoint: endpoint.clone(),
            source,
        })?;
        let (input, receiver) = mpsc::unbounded_channel();
        let counters = Arc::new(Counters::default());
        let (encoder, thread_counters) = (SpanEncoder::new(resource, ids), Arc::clone(&counters));
        let alive = alive_request(resource);
        let thread = std::thread::Builder::new()
            .name("cctf-export".into())
            .spawn(move || {
                runtime.block_on(async move {
                    Worker {
                        sender,
                        counters: thread_counters,
                        encoder,
                        waiting: VecDeque::new(),
                        waiting_spans: 0,
                        under_way: JoinSet::new(),
                        alive: Some(alive),
                    }
                    .run(receiver)
                    .await;
                });
            })?;
        Ok(Self {
            endpoint,
            input: Some(input),
            counters,
            thread: Some(thread),
        })
    }

    /// The recorder's end of the queue.
    pub fn queue(&self) -> Option<SpanQueue> {
        Some(SpanQueue {
            input: self.input.clone()?,
            counters: Arc::clone(&self.counters),
        })
    }

    /// Sends one request with the control span `name`, retries until `timeout`, and waits until it is accepted.
    pub fn send_control(&self, name: &str, request: Bytes, timeout: Duration) -> Result<(), ExportError> {
        let failed = |error| ExportError::Control {
            name: name.to_owned(),
            endpoint: self.endpoint.clone(),
            error,
        };
        let (reply, answer) = std_mpsc::channel();
        let deadline = Instant::now() + timeout;
        self.send(Input::Control {
            request,
            deadline,
            reply,
        });
        answer
            .recv()
            .unwrap_or_else(|_| Err("the exporter has stopped".to_owned()))
            .map_err(failed)
    }

    /// Waits until all queued spans are delivered or given up, at most `timeout`, and returns the counts.
    pub fn flush(&self, timeout: Duration) -> Delivery {
        let (reply, answer) = std_mpsc::channel();
        self.send(Input::Flush {
            deadline: Instant::now() + timeout,
            reply,
        });
        // An error means that the thread has stopped; the counters remain valid.
        let _ = answer.recv();
        self.counters.delivery()
    }

    fn send(&self, input: Input) {
        if let Some(sender) = &self.input {
            // Fails only if the thread has stopped; the caller then finds its reply channel closed.
            let _ = sender.send(input);
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // Closing the channel is not enough: the recorder may still hold its end of the queue.
        self.send(Input::End);
        self.input = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's state.
struct Worker {
    sender: Sender,
    counters: Arc<Counters>,
    encoder: SpanEncoder,
    waiting: VecDeque<Vec<Exchange>>,
    waiting_spans: usize,
    under_way: JoinSet<()>,
    /// The encoded report that the driver is alive, until it is passed to the task that sends it.
    alive: Option<Bytes>,
}

impl Worker {
    async fn run(mut self, mut input: mpsc::UnboundedReceiver<Input>) {
        let mut due: Option<Instant> = None;
        loop {
            let can_start = self.under_way.len() < EXPORTS_MAX;
            if can_start
                && (self.waiting_spans >= BATCH_SPANS_MAX || due.is_some_and(|due| due <= Instant::now()))
            {
                self.start_export();
                due = (self.waiting_spans > 0).then(|| Instant::now() + BATCH_WAIT);
                continue;
            }
            tokio::select! {
                received = input.recv() => match received {
                    Some(Input::Batch(batch)) => {
                        due.get_or_insert(Instant::now() + BATCH_WAIT);
                        self.waiting_spans += batch.len();
                        self.waiting.push_back(batch);
                    }
                    Some(Input::Control { request, deadline, reply }) => {
                        let note = |error: &str| self.counters.record_error(error);
                        let sent = self.sender.send_until(request, Some(deadline), note).await;
                        if sent.as_ref().is_ok_and(|accepted| accepted.rejected == 0) {
                            self.report_alive();
                        }
                        // The caller waits for the reply. If it no longer does, the send fails, which is ignored.
                        let _ = reply.send(sent.and_then(|accepted| match accepted.rejected {
                            0 => Ok(()),
                            _ => Err(format!(
                                    "the receiver has rejected it: {}",
                                    accepted.message.as_deref().unwrap_or("no reason given")
                            )),
                        }));
                    }
                    Some(Input::Flush { deadline, reply }) => {
                        // After the deadline the remaining spans count as undelivered.
                        let _ = tokio::time::timeout_at(deadline, self.drain()).await;
                        due = None;
                        let _ = reply.send(());
                    }
                    Some(Input::End) | None => return,
                },
                Some(_) = self.under_way.join_next() => {}
                () = sleep_until(due), if can_start => {}
            }
        }
    }

    /// From the start of the run on, reports that the driver is alive. The task ends with the exporter's runtime.
    fn report_alive(&mut self) {
        if let Some(report) = self.alive.take() {
            tokio::spawn(alive::report(self.sender.clone(), report));
        }
    }

    async fn drain(&mut self) {
        loop {
            while self.waiting_spans > 0 && self.under_way.len() < EXPORTS_MAX {
                self.start_export();
            }
            if self.under_way.join_next().await.is_none() {
                return;
            }
        }
    }

    /// Starts the export of the oldest spans, at most one batch.
    fn start_export(&mut self) {
        let Some(mut batch) = self.waiting.pop_front() else {
            return;
        };
        while let Some(next) = self.waiting.front_mut() {
            let room = BATCH_SPANS_MAX.saturating_sub(batch.len());
            if room == 0 {
                break;
            }
            batch.extend(next.drain(..room.min(next.len())));
            if next.is_empty() {
                self.waiting.pop_front();
            }
        }
        let (spans, bytes) = (batch.len(), held_bytes(&batch));
        self.waiting_spans -= spans;
        let request = self.encoder.encode(&batch);
        let (sender, counters) = (self.sender.clone(), Arc::clone(&self.counters));
        self.under_way.spawn(async move {
            export(&sender, &counters, request, spans as u64).await;
            counters.release(spans as u64, bytes);
        });
    }
}

async fn export(sender: &Sender, counters: &Counters, request: Bytes, spans: u64) {
    let accepted = sender
        .send_until(request, None, |error| counters.record_error(error))
        .await;
    let rejected = accepted
        .as_ref()
        .map_or(spans, |accepted| accepted.rejected.min(spans));
    if let Some(message) = accepted.ok().and_then(|accepted| accepted.message) {
        counters.record_error(&message);
    }
    counters.rejected.fetch_add(rejected, Ordering::Relaxed);
    counters.delivered.fetch_add(spans - rejected, Ordering::Relaxed);
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
