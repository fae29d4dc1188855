//! Ended exchanges on their way from the io loop to the recorder: counted, and passed on in batches.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

use crate::clock::monotonic_ns;
use crate::exchange::{Batch, DriveFacts, DriveProgress, Exchange, Failure, Request, Sent};
use crate::record::recorder::RecorderInput;

/// Maximum time for which an ended exchange waits for its batch.
pub const FLUSH_NS: u64 = 20_000_000;
/// Maximum number of exchanges in a batch.
const BATCH_EXCHANGES_MAX: usize = 512;

/// A request that waits for a connection.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    pub request: Request,
    /// Time of the first send, if it is sent again.
    pub first_sent: Option<Sent>,
}

#[derive(Debug)]
pub struct Outbox {
    facts: Arc<DriveFacts>,
    progress: Arc<DriveProgress>,
    recorder: SyncSender<RecorderInput>,
    ended: Vec<Exchange>,
    flushed_ns: u64,
}

impl Outbox {
    pub fn new(
        facts: Arc<DriveFacts>,
        progress: Arc<DriveProgress>,
        recorder: SyncSender<RecorderInput>,
    ) -> Self {
        let ended = Vec::with_capacity(BATCH_EXCHANGES_MAX);
        Self {
            facts,
            progress,
            recorder,
            ended,
            flushed_ns: monotonic_ns(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.ended.is_empty()
    }

    /// Takes an ended exchange.
    pub fn end(&mut self, exchange: Exchange) {
        self.progress.ended.fetch_add(1, Ordering::Relaxed);
        if !exchange.is_success() {
            self.progress.failed.fetch_add(1, Ordering::Relaxed);
        }
        self.ended.push(exchange);
    }

    /// Takes a request that was given up before it was sent, or before it was sent again.
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

    /// Passes a batch on if it is full or has waited long enough.
    pub fn flush_when_due(&mut self, now_ns: u64) {
        if self.ended.len() >= BATCH_EXCHANGES_MAX || now_ns.saturating_sub(self.flushed_ns) >= FLUSH_NS {
            self.flushed_ns = now_ns;
            self.flush();
        }
    }

    /// Passes all exchanges on.
    pub fn flush(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        let exchanges = std::mem::replace(&mut self.ended, Vec::with_capacity(BATCH_EXCHANGES_MAX));
        // The recorder runs until all drives have ended.
        let _ = self.recorder.send(RecorderInput::Batch(Batch {
            facts: Arc::clone(&self.facts),
            exchanges,
        }));
    }
}
