//! What has ended in the io loop, on its way to the recorder: counted, and handed over in batches.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

use super::clock::monotonic_ns;
use super::exchange::{Batch, DriveFacts, Exchange, Failure, Progress, Request, Sent};
use super::recorder::RecorderInput;

/// Longest time that an ended exchange waits to be handed on.
pub const FLUSH_NS: u64 = 20_000_000;
/// Exchanges handed to the recorder at once.
const BATCH_EXCHANGES_MAX: usize = 512;

/// A request that waits for a connection.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    /// The request.
    pub request: Request,
    /// When it was first sent, if it is sent again.
    pub first_sent: Option<Sent>,
}

/// Collects ended exchanges.
#[derive(Debug)]
pub struct Outbox {
    facts: Arc<DriveFacts>,
    progress: Arc<Progress>,
    recorder: SyncSender<RecorderInput>,
    ended: Vec<Exchange>,
    flushed_ns: u64,
}

impl Outbox {
    /// An empty one.
    pub fn new(facts: Arc<DriveFacts>, progress: Arc<Progress>, recorder: SyncSender<RecorderInput>) -> Self {
        let ended = Vec::with_capacity(BATCH_EXCHANGES_MAX);
        Self {
            facts,
            progress,
            recorder,
            ended,
            flushed_ns: monotonic_ns(),
        }
    }

    /// Whether nothing waits to be handed on.
    pub fn is_empty(&self) -> bool {
        self.ended.is_empty()
    }

    /// Takes an exchange that has ended.
    pub fn end(&mut self, exchange: Exchange) {
        self.progress.ended.fetch_add(1, Ordering::Relaxed);
        if !exchange.is_success() {
            self.progress.failed.fetch_add(1, Ordering::Relaxed);
        }
        self.ended.push(exchange);
    }

    /// Takes a request that was given up before any of its bytes left, or before they left again.
    pub fn end_unsent(&mut self, pending: Pending, failure: Failure) {
        let sent = pending.first_sent.unwrap_or_else(|| Sent::now(pending.request));
        self.end_failed(sent, u8::from(pending.first_sent.is_some()), failure);
    }

    /// Takes a request that has ended without a response.
    pub fn end_failed(&mut self, sent: Sent, resends: u8, failure: Failure) {
        let exchange = Exchange {
            sent,
            latency_ns: 0,
            status: 0,
            body_bytes_in: 0,
            failure: Some(failure),
            resends,
        };
        let latency_ns = if exchange.left() {
            monotonic_ns().saturating_sub(sent.monotonic_ns)
        } else {
            0
        };
        self.end(Exchange {
            latency_ns,
            ..exchange
        });
    }

    /// Hands a batch on if it is full or has waited long enough.
    pub fn flush_when_due(&mut self, now_ns: u64) {
        if self.ended.len() >= BATCH_EXCHANGES_MAX || now_ns.saturating_sub(self.flushed_ns) >= FLUSH_NS {
            self.flushed_ns = now_ns;
            self.flush();
        }
    }

    /// Hands on what there is.
    pub fn flush(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        let exchanges = std::mem::replace(&mut self.ended, Vec::with_capacity(BATCH_EXCHANGES_MAX));
        // The recorder lives until every drive has ended.
        let _ = self.recorder.send(RecorderInput::Batch(Batch {
            facts: Arc::clone(&self.facts),
            exchanges,
        }));
    }
}
