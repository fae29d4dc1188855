//! What came to the receiver and what became of it, counted since the start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use cctf_proto::otlp::admission::{Admission, Rejection};

use super::refusal::Refusal;
use crate::journal::Signal;

/// Counters of one signal.
#[derive(Debug, Default)]
pub struct SignalCounters {
    /// Requests that were accepted.
    pub requests: AtomicU64,
    /// Bytes of their messages, decompressed.
    pub bytes: AtomicU64,
    /// Their spans, data points or log records, the unusable included.
    pub rows: AtomicU64,
    rejected: [AtomicU64; Rejection::COUNT],
}

/// Counters of the receiver.
#[derive(Debug, Default)]
pub struct Counters {
    signals: [SignalCounters; 3],
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl Counters {
    /// Those of one signal.
    pub fn signal(&self, signal: Signal) -> &SignalCounters {
        &self.signals[signal as usize]
    }

    /// Requests that were refused, by reason.
    pub fn refused(&self) -> BTreeMap<&'static str, u64> {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn count_accepted(&self, signal: Signal, bytes: usize, admission: &Admission) {
        let counters = self.signal(signal);
        counters.requests.fetch_add(1, Ordering::Relaxed);
        counters.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        counters.rows.fetch_add(admission.rows, Ordering::Relaxed);
        for (reason, count) in admission.reasons() {
            counters.rejected[reason as usize].fetch_add(count, Ordering::Relaxed);
        }
    }

    pub(super) fn count_refused(&self, refusal: &Refusal) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(refusal.name()).or_default() += 1;
    }
}

impl SignalCounters {
    /// Unusable rows of accepted requests, by reason.
    pub fn rejected(&self) -> impl Iterator<Item = (Rejection, u64)> + '_ {
        let counts = self.rejected.iter().map(|count| count.load(Ordering::Relaxed));
        Rejection::ALL.into_iter().zip(counts)
    }
}
