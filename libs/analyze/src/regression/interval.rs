//! [`Interval`]: the time between samples of a process, with its CPU time and requests.

/// An interval at least this many times as long as usual is a gap. Telemetry was lost in it, so requests may be missing, too.
pub const GAP: f64 = 4.0;

/// The time between two samples, or between the first and last sample of several merged intervals.
#[derive(Debug, Clone)]
pub struct Interval {
    /// Nanoseconds since the Unix epoch.
    pub begin: i64,
    pub end: i64,
    /// Growth of the CPU time, seconds.
    pub cpu_s: f64,
    /// Number of requests to each endpoint. The list is shorter if the last endpoints have none.
    pub requests: Vec<f64>,
    /// Number of sampling intervals that were merged.
    pub samples: u32,
}

impl Interval {
    pub fn seconds(&self) -> f64 {
        self.end.saturating_sub(self.begin) as f64 / 1e9
    }

    /// Mean length of the sampling intervals.
    pub fn period(&self) -> f64 {
        self.seconds() / f64::from(self.samples)
    }

    pub fn precedes(&self, next: &Self) -> bool {
        let ratio = next.period() / self.period();
        self.end == next.begin && ratio < GAP && ratio > 1.0 / GAP
    }

    /// Adds the next interval.
    pub fn extend(&mut self, next: &Self) {
        self.end = next.end;
        self.cpu_s += next.cpu_s;
        self.samples += next.samples;
        if self.requests.len() < next.requests.len() {
            self.requests.resize(next.requests.len(), 0.0);
        }
        for (sum, more) in self.requests.iter_mut().zip(&next.requests) {
            *sum += more;
        }
    }
}
