//! [`Sums`]: everything that is summed over the invocations of a group.

use crate::sketch::Sketch;

/// Quantiles in the results, and their names.
pub const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// A measured time of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    Queue,
    Service,
    Response,
    Cpu,
    Network,
}

impl Time {
    pub const ALL: [Self; 5] = [
        Self::Queue,
        Self::Service,
        Self::Response,
        Self::Cpu,
        Self::Network,
    ];

    /// Its name in results, and the first part of its figures' names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Service => "service",
            Self::Response => "response",
            Self::Cpu => "cpu",
            Self::Network => "network",
        }
    }

    /// The field of `invocations.jsonl`.
    pub fn field(self) -> &'static str {
        match self {
            Self::Queue => "queue_time_ms",
            Self::Service => "service_time_ms",
            Self::Response => "rt_ms",
            Self::Cpu => "cpu_time_ms",
            Self::Network => "net_ms",
        }
    }
}

/// The known values of one time. Rows without a value do not count.
#[derive(Debug, Clone, Default)]
pub struct Times {
    /// Nanoseconds. 128 bits, because two timestamps near the end of 64 bits would overflow.
    pub sum_ns: u128,
    pub sketch: Sketch,
}

/// The known values of one number of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    pub count: u64,
    pub sum: u128,
}

/// Sums over invocations.
#[derive(Debug, Clone, Default)]
pub struct Sums {
    pub calls: u64,
    pub errors: u64,
    /// Answers to requests whose caller is known by its span id.
    pub called: u64,
    /// In the order of [`Time::ALL`].
    pub times: [Times; Time::ALL.len()],
    /// Downstream calls and waits for another slot, of invocations whose service time is known, nanoseconds.
    pub waits_ns: u128,
    pub bytes_in: Bytes,
    pub bytes_out: Bytes,
}

impl Times {
    #[inline]
    pub fn add(&mut self, ns: Option<u64>) {
        if let Some(ns) = ns {
            self.sum_ns += u128::from(ns);
            self.sketch.add(ns);
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.sum_ns += other.sum_ns;
        self.sketch.merge(&other.sketch);
    }
}

impl Bytes {
    #[inline]
    pub fn add(&mut self, bytes: Option<u64>) {
        if let Some(bytes) = bytes {
            self.count += 1;
            self.sum += u128::from(bytes);
        }
    }

    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
    }

    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }
}

impl Sums {
    pub fn of(&self, time: Time) -> &Times {
        &self.times[time as usize]
    }

    pub fn merge(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.called += other.called;
        for (times, more) in self.times.iter_mut().zip(&other.times) {
            times.merge(more);
        }
        self.waits_ns += other.waits_ns;
        self.bytes_in.merge(other.bytes_in);
        self.bytes_out.merge(other.bytes_out);
    }
}
