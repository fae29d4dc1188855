//! [`Outbox`]: collects ended exchanges in the io loop, counts them, and passes them to the recorder in batches.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;

use crate::clock::monotonic_ns;
use crate::exchange::{Exchange, Failure, Sent};
use crate::progress::DriveProgress;
use crate::record::recorder::RecorderInput;
use crate::stream::Prepared;

/// Maximum time for which an ended exchange waits for its batch.
pub const FLUSH_NS: u64 = 20_000_000;
/// Maximum number of exchanges in a batch.
const BATCH_EXCHANGES_MAX: usize = 512;

#[derive(Debug)]
pub struct Outbox {
    progress: Arc<DriveProgress>,
    recorder: SyncSender<RecorderInput>,
    ended: Vec<Exchange>,
    flushed_ns: u64,
}

impl Outbox {
    pub fn new(progress: Arc<DriveProgress>, recorder: SyncSender<RecorderInput>) -> Self {
        Self {
            progress,
            recorder,
            ended: Vec::with_capacity(BATCH_EXCHANGES_MAX),
            flushed_ns: monotonic_ns(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.ended.is_empty()
    }

    /// Adds an ended exchange.
    pub fn end(&mut self, exchange: Exchange) {
        self.progress.ended.fetch_add(1, Ordering::Relaxed);
        if exchange.failure == Some(Failure::QueueFull) {
            self.progress.count_read_refusal();
        }
        if !exchange.left() {
            self.progress.unsent.fetch_add(1, Ordering::Relaxed);
        }
        if !exchange.is_success() {
            self.progress.failed.fetch_add(1, Ordering::Relaxed);
        }
        self.ended.push(exchange);
    }

    /// Adds a request that has ended without a response.
    pub fn end_failed(&mut self, sent: Sent, prepared: &Prepared, resends: u8, failure: Failure) {
        let exchange = Exchange::failed(sent, prepared, failure);
        let latency_ns = if exchange.left() {
            monotonic_ns().saturating_sub(sent.monotonic_ns)
        } else {
            0
        };
        self.end(Exchange {
            latency_ns,
            resends,
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
        // The recorder runs until all streams have ended.
        let _ = self.recorder.send(RecorderInput::Batch(exchanges));
    }
}
