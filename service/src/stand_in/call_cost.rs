//! [`CallCost`]: the CPU time of executing a call, by the size of its bodies, learnt from earlier requests.

use std::sync::{Mutex, PoisonError};

/// An observation counts this much less with each later one.
const DECAY: f64 = 1.0 - 1.0 / 64.0;
/// Bytes whose spread is too small for a slope: a page, whose copy costs less than a clock reading.
const SPREAD_BYTES_MIN: f64 = 4096.0;

/// A straight line through recent costs. Without the sizes, a mean would fit no single request: what a large call costs above it is
/// used in addition, and what a small one costs below it is not saved, so that the mean CPU time would be too large.
#[derive(Debug)]
pub struct CallCost {
    sums: Mutex<Sums>,
    max_ns: f64,
}

/// Weighted sums for a least-squares line.
#[derive(Debug, Default, Clone, Copy)]
struct Sums {
    weight: f64,
    bytes: f64,
    bytes_squared: f64,
    ns: f64,
    bytes_ns: f64,
}

impl CallCost {
    /// Zero. Larger costs than the maximum count as the maximum.
    pub fn new(max_ns: u64) -> Self {
        Self {
            sums: Mutex::default(),
            max_ns: max_ns as f64,
        }
    }

    /// The line at present: the expected cost of a call without a body, ns, and of a byte.
    pub fn line(&self) -> Line {
        let sums = *self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let max_ns = self.max_ns;
        if sums.weight == 0.0 {
            return Line::default();
        }
        let (mean_bytes, mean_ns) = (sums.bytes / sums.weight, sums.ns / sums.weight);
        let spread = sums.bytes_squared / sums.weight - mean_bytes.powi(2);
        let covariance = sums.bytes_ns / sums.weight - mean_bytes * mean_ns;
        // A call with a larger body is never cheaper, and one without a body costs something.
        let steepest = mean_ns / mean_bytes.max(1.0);
        let slope = match spread > SPREAD_BYTES_MIN.powi(2) {
            true => (covariance / spread).clamp(0.0, steepest),
            false => 0.0,
        };
        Line {
            base_ns: mean_ns - slope * mean_bytes,
            ns_a_byte: slope,
            max_ns,
        }
    }

    /// Adds the mean cost of some calls with this mean size.
    pub fn add(&self, bytes: f64, cost_ns: f64) {
        let cost_ns = cost_ns.min(self.max_ns);
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        *sums = Sums {
            weight: sums.weight * DECAY + 1.0,
            bytes: sums.bytes * DECAY + bytes,
            bytes_squared: sums.bytes_squared * DECAY + bytes * bytes,
            ns: sums.ns * DECAY + cost_ns,
            bytes_ns: sums.bytes_ns * DECAY + bytes * cost_ns,
        };
    }
}

/// Expected costs.
#[derive(Debug, Default, Clone, Copy)]
pub struct Line {
    base_ns: f64,
    ns_a_byte: f64,
    max_ns: f64,
}

impl Line {
    pub fn at(self, bytes: u64) -> u64 {
        // Between zero and the maximum, so that it fits.
        (self.base_ns + self.ns_a_byte * bytes as f64).clamp(0.0, self.max_ns) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_by_size_are_found_from_varied_sizes() {
        let cost = CallCost::new(1_000_000);
        assert_eq!(cost.line().at(100_000), 0);
        for index in 0..500_u32 {
            let bytes = f64::from(index % 37) * 10_000.0;
            cost.add(bytes, 20_000.0 + bytes / 4.0);
        }
        let line = cost.line();
        assert!(line.at(0).abs_diff(20_000) <= 1, "{line:?}");
        assert!(line.at(200_000).abs_diff(70_000) <= 1, "{line:?}");
        assert_eq!(line.at(1 << 40), 1_000_000);
    }

    #[test]
    fn costs_of_one_size_are_a_mean_that_follows_recent_ones() {
        let cost = CallCost::new(50_000);
        (0..500).for_each(|_| cost.add(1_000.0, 30_000.0));
        assert!(cost.line().at(1_000).abs_diff(30_000) <= 1);
        (0..1_000).for_each(|_| cost.add(1_000.0, 80_000.0));
        assert!(cost.line().at(1_000).abs_diff(50_000) <= 1);
    }
}
