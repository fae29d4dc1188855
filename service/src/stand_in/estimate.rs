//! [`Estimate`]: a moving mean of one cost of executing a plan. The planned times include this cost, so the planned work must be
//! shorter by it.

use std::sync::atomic::{AtomicU64, Ordering};

/// A new value changes the mean by their difference, divided by this number. So one interrupted execution changes it little.
const WEIGHT: u64 = 16;

/// An exponential moving mean, nanoseconds.
#[derive(Debug)]
pub struct Estimate {
    mean_ns: AtomicU64,
    max_ns: u64,
}

impl Estimate {
    /// A mean of zero. Values above `max_ns` count as `max_ns`.
    pub const fn new(max_ns: u64) -> Self {
        Self {
            mean_ns: AtomicU64::new(0),
            max_ns,
        }
    }

    pub fn get(&self) -> u64 {
        self.mean_ns.load(Ordering::Relaxed)
    }

    pub fn add(&self, value_ns: u64) {
        let (mean_ns, value_ns) = (self.get(), value_ns.min(self.max_ns));
        let part_ns = mean_ns.abs_diff(value_ns).div_ceil(WEIGHT);
        let moved_ns = match value_ns > mean_ns {
            true => mean_ns + part_ns,
            false => mean_ns - part_ns,
        };
        // If another thread changes the mean at the same time, one change is lost. This does no harm.
        self.mean_ns.store(moved_ns, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_approaches_values_and_stays_below_its_maximum() {
        let estimate = Estimate::new(1_000);
        (0..200).for_each(|_| estimate.add(500));
        assert_eq!(estimate.get(), 500);
        estimate.add(100_000);
        assert_eq!(estimate.get(), 532);
        (0..200).for_each(|_| estimate.add(100_000));
        assert_eq!(estimate.get(), 1_000);
        (0..200).for_each(|_| estimate.add(0));
        assert_eq!(estimate.get(), 0);
    }
}
