//! [`Counters`]: accepted, rejected and refused telemetry since the start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cctf_proto::log_line;
use cctf_proto::otlp::admission::{Admission, Rejection};

use super::refusal::Refusal;
use crate::journal::Signal;

/// Minimum interval between log lines about refusals for one reason. The counters include all of them.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Refusals for one reason.
#[derive(Debug, Default)]
struct Refused {
    count: u64,
    logged: Option<Instant>,
}

impl Refused {
    /// Counts a refusal; returns whether to log it.
    fn add(&mut self, now: Instant) -> bool {
        self.count += 1;
        let is_due = self
            .logged
            .is_none_or(|logged| now.saturating_duration_since(logged) >= LOG_INTERVAL);
        if is_due {
            self.logged = Some(now);
        }
        is_due
    }
}

#[derive(Debug, Default)]
pub struct SignalCounters {
    /// Accepted requests.
    pub requests: AtomicU64,
    /// Bytes of accepted messages after decompression.
    pub bytes: AtomicU64,
    /// Spans, data points or log records in accepted requests, including rejected ones.
    pub rows: AtomicU64,
    rejected: [AtomicU64; Rejection::COUNT],
}

#[derive(Debug, Default)]
pub struct Counters {
    signals: [SignalCounters; 3],
    refused: Mutex<BTreeMap<&'static str, Refused>>,
}

impl Counters {
    pub fn signal(&self, signal: Signal) -> &SignalCounters {
        &self.signals[signal as usize]
    }

    /// Number of refused requests, by reason.
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
                "warning: refused a request, reason {reason}, {} since the start: {refusal}",
                refused.count
            );
        }
    }
}

impl SignalCounters {
    /// Number of rejected rows in accepted requests, by reason.
    pub fn rejected(&self) -> impl Iterator<Item = (Rejection, u64)> + '_ {
        let counts = self.rejected.iter().map(|count| count.load(Ordering::Relaxed));
        Rejection::ALL.into_iter().zip(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_refusals_are_counted_and_few_are_logged() {
        let (mut refused, start) = (Refused::default(), Instant::now());
        let logged = [0, 1, 59, 60, 61, 120].map(|seconds| refused.add(start + Duration::from_secs(seconds)));
        assert_eq!(logged, [true, false, false, true, false, true]);
        assert_eq!(refused.count, 6);
    }
}
