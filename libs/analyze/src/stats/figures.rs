//! [`Sums`]: the sums over the invocations of a group.

use crate::sketch::Sketch;

/// Confidence level: the share of all runs like this one whose interval contains the true value.
pub const LEVEL: f64 = 0.95;
/// Quantiles in the results, and their names.
pub const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// A count per second; `None` without time.
pub fn per_second(count: u64, time_ns: u64) -> Option<f64> {
    const NS_PER_S: f64 = 1e9;
    (time_ns > 0).then(|| count as f64 * NS_PER_S / time_ns as f64)
}

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

    /// Name of the time in results, and the first part of the names of its figures.
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

/// The known values of one time. Rows without a value are ignored.
#[derive(Debug, Clone, Default)]
pub struct Times {
    /// Sum in nanoseconds. It has 128 bits, because the sum of two times near the maximum of 64 bits would overflow.
    pub sum_ns: u128,
    pub sketch: Sketch,
}

/// Sums over the known sizes of bodies in one direction, bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    pub count: u64,
    pub sum: u128,
    pub squares: u128,
}

/// CPU and service times of invocations that have both, nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuOfService {
    pub cpu_ns: u128,
    pub service_ns: u128,
}

/// Sums over invocations.
#[derive(Debug, Clone, Default)]
pub struct Sums {
    pub calls: u64,
    pub errors: u64,
    /// Number of invocations that answer a request and name the span that sent it.
    pub called: u64,
    /// Figures of each kind of time, in the order of [`Time::ALL`].
    pub times: [Times; Time::ALL.len()],
    /// Time of downstream calls and of waits for another slot, over invocations with a known service time, nanoseconds.
    pub waits_ns: u128,
    pub cpu_of_service: CpuOfService,
    pub bytes_in: Bytes,
    pub bytes_out: Bytes,
}

impl Times {
    /// Number of known values.
    pub fn count(&self) -> u64 {
        self.sketch.count()
    }

    pub fn mean_ns(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum_ns as f64 / count as f64)
    }

    /// The quantile with this index in [`QUANTILES`].
    pub fn quantile_ns(&self, index: usize) -> Option<f64> {
        let quantile = self.sketch.quantile(QUANTILES[index].1);
        quantile.map(|ns| ns as f64)
    }

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
            let square = u128::from(bytes) * u128::from(bytes);
            self.squares = self.squares.saturating_add(square);
        }
    }

    pub fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares = self.squares.saturating_add(other.squares);
    }

    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }
}

impl CpuOfService {
    /// Adds an invocation if both are known.
    #[inline]
    pub fn add(&mut self, cpu_ns: Option<u64>, service_ns: Option<u64>) {
        if let (Some(cpu), Some(service)) = (cpu_ns, service_ns) {
            self.cpu_ns += u128::from(cpu);
            self.service_ns += u128::from(service);
        }
    }

    /// Share of the service time during which a CPU worked for the invocation.
    pub fn share(&self) -> Option<f64> {
        (self.service_ns > 0).then(|| self.cpu_ns as f64 / self.service_ns as f64)
    }
}

impl Sums {
    /// Share of the invocations that failed.
    pub fn error_share(&self) -> Option<f64> {
        (self.calls > 0).then(|| self.errors as f64 / self.calls as f64)
    }

    /// Size of the sketches in memory, bytes.
    pub fn sketch_bytes(&self) -> usize {
        self.times.iter().map(|times| times.sketch.bytes()).sum()
    }

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
        self.cpu_of_service.cpu_ns += other.cpu_of_service.cpu_ns;
        self.cpu_of_service.service_ns += other.cpu_of_service.service_ns;
        self.bytes_in.merge(other.bytes_in);
        self.bytes_out.merge(other.bytes_out);
    }
}
