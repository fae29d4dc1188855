//! What came to the receiver and what became of it, counted since the start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cctf_proto::log_line;
use cctf_proto::otlp::admission::{Admission, Rejection};

use super::refusal::Refusal;
use crate::journal::Signal;

/// Refusals of one reason are told in the log at most this often; the counters have them all.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// Refusals of one reason.
#[derive(Debug, Default)]
struct Refused {
    count: u64,
    told: Option<Instant>,
}

impl Refused {
    /// Counts one, and says whether it is to be told.
    fn add(&mut self, now: Instant) -> bool {
        self.count += 1;
        let is_due = self
            .told
            .is_none_or(|told| now.saturating_duration_since(told) >= TELL_EVERY);
        if is_due {
            self.told = Some(now);
        }
        is_due
    }
}

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
    refused: Mutex<BTreeMap<&'static str, Refused>>,
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
            .iter()
            .map(|(reason, refused)| (*reason, refused.count))
            .collect()
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
        let reason = refusal.name();
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = refused.entry(reason).or_default();
        if refused.add(Instant::now()) {
            log_line!(
                "warning: request refused, reason {reason}, {} since the start: {refusal}",
                refused.count
            );
        }
    }
}

impl SignalCounters {
    /// Unusable rows of accepted requests, by reason.
    pub fn rejected(&self) -> impl Iterator<Item = (Rejection, u64)> + '_ {
        let counts = self.rejected.iter().map(|count| count.load(Ordering::Relaxed));
        Rejection::ALL.into_iter().zip(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_all_counted_and_told_once_in_a_while() {
        let (mut refused, start) = (Refused::default(), Instant::now());
        let told = [0, 1, 59, 60, 61, 120].map(|seconds| refused.add(start + Duration::from_secs(seconds)));
        assert_eq!(told, [true, false, false, true, false, true]);
        assert_eq!(refused.count, 6);
    }
}
