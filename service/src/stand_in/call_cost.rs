//! [`CallCost`]: estimates the CPU time of executing a call from the size of its bodies. It learns from earlier requests.

use std::sync::{Mutex, PoisonError};

/// Factor by which each later observation reduces the weight of an earlier one.
const DECAY: f64 = 1.0 - 1.0 / 64.0;
/// Minimum spread of sizes (bytes) for a slope. Below it, differences in cost are too small to measure: copying a page costs
/// less than reading the clock.
const SPREAD_BYTES_MIN: f64 = 4096.0;

/// A straight line through recent costs, by size. A plain mean would fit neither large nor small calls. A large call would use
/// CPU time beyond the estimate; a small call would not use less than planned in return. So the mean CPU time would be too
/// high.
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
    /// A line at zero. Costs above `max_ns` count as `max_ns`.
    pub fn new(max_ns: u64) -> Self {
        Self {
            sums: Mutex::default(),
            max_ns: max_ns as f64,
        }
    }

    /// The current line: expected cost of a call without a body, and the cost per byte, in nanoseconds.
    pub fn line(&self) -> Line {
        let sums = *self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let max_ns = self.max_ns;
        if sums.weight == 0.0 {
            return Line::default();
        }
        let (mean_bytes, mean_ns) = (sums.bytes / sums.weight, sums.ns / sums.weight);
        let spread = sums.bytes_squared / sums.weight - mean_bytes.powi(2);
        let covariance = sums.bytes_ns / sums.weight - mean_bytes * mean_ns;
        // Bounds the slope: a larger body never makes a call cheaper, and the cost of a call without a body is never negative.
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

    /// Adds the mean cost of some calls, with their mean size.
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
        // The cast is safe, because the value is between zero and the maximum.
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
