//! [`Counters`]: the counters of a stand-in that `/metrics` shows.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start of the process.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests whose plans were executed and answered.
    pub executed: AtomicU64,
    /// Requests that were refused before they were queued.
    pub refused: AtomicU64,
    /// Requests to other stand-ins, including those that could not be sent.
    pub calls: AtomicU64,
    /// Requests to other stand-ins that got no answer.
    pub calls_failed: AtomicU64,
    larger_bodies: AtomicU64,
    larger_bytes: AtomicU64,
    cpu_unused_ns: AtomicU64,
    /// Invocations whose work after the answer was dropped, because there was too much of it.
    pub dropped: AtomicU64,
    warned: Warned,
}

#[derive(Debug)]
struct Warned(Once);

impl Default for Warned {
    fn default() -> Self {
        Self(Once::new())
    }
}

impl Counters {
    /// Counts a request that is larger than recorded, because its plan alone is larger than the recorded body.
    pub fn plan_is_larger(&self, by_bytes: u64) {
        self.larger_bodies.fetch_add(1, Ordering::Relaxed);
        self.larger_bytes.fetch_add(by_bytes, Ordering::Relaxed);
    }

    /// Counts a call to a module for which the stand-ins file has no stand-in. Logs the first one.
    pub fn no_stand_in(&self, module: &str) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.calls_failed.fetch_add(1, Ordering::Relaxed);
        self.warned.0.call_once(|| {
            tracing::warn!(
                module,
                "the stand-ins file names no stand-in for a module; calls to it fail"
            );
        });
    }

    pub fn executed(&self, cpu_unused_ns: u64) {
        self.executed.fetch_add(1, Ordering::Relaxed);
        self.cpu_unused_ns.fetch_add(cpu_unused_ns, Ordering::Relaxed);
    }

    /// Name, description and value of all counters.
    pub fn lines(&self) -> Vec<(&'static str, &'static str, String)> {
        let counts = [
            (
                "stand_in_plans_total",
                "Plans that were executed.",
                &self.executed,
            ),
            (
                "stand_in_plans_refused_total",
                "Requests that were refused: no valid plan, or no file of stand-ins.",
                &self.refused,
            ),
            (
                "stand_in_calls_total",
                "Requests to other stand-ins.",
                &self.calls,
            ),
            (
                "stand_in_calls_failed_total",
                "Requests to other stand-ins that failed without an answer.",
                &self.calls_failed,
            ),
            (
                "stand_in_larger_bodies_total",
                "Requests to other stand-ins that were larger than recorded, because their plan is.",
                &self.larger_bodies,
            ),
            (
                "stand_in_larger_bytes_total",
                "Bytes by which these requests were larger than recorded.",
                &self.larger_bytes,
            ),
            (
                "stand_in_dropped_total",
                "Invocations whose work after the answer was dropped, because too many had such work.",
                &self.dropped,
            ),
        ];
        let mut lines: Vec<_> = counts
            .into_iter()
            .map(|(name, help, count)| (name, help, count.load(Ordering::Relaxed).to_string()))
            .collect();
        let unused_s = self.cpu_unused_ns.load(Ordering::Relaxed) as f64 / 1e9;
        lines.push((
            "stand_in_cpu_unused_seconds_total",
            "CPU time of plans that was not used: beside calls that were too short, or after the answer.",
            unused_s.to_string(),
        ));
        lines
    }
}
