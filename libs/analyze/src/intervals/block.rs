//! A block: the sum and the coarse counts of consecutive values.

use super::buckets;
use crate::counts::Counts;

/// A block. It has the sum of the values' differences from a value close to them, so that rounding errors stay small.
#[derive(Debug, Clone, Default)]
pub struct Block {
    pub count: u64,
    pub sum: f64,
    /// At most 3,100 buckets. 32 bits are enough for the counts: at a million values a second, 31 blocks with full counts take
    /// 36 hours.
    counts: Counts<u32>,
}

impl Block {
    #[inline]
    pub fn add(&mut self, difference: f64, fine: i32) {
        self.count += 1;
        self.sum += difference;
        self.counts.add(buckets::coarse(fine));
    }

    pub fn merge(&mut self, later: &Self) {
        self.count += later.count;
        self.sum += later.sum;
        self.counts.merge(&later.counts);
    }

    /// Lowers the value from which differences are measured by `shift`.
    pub fn lower_origin(&mut self, shift: f64) {
        self.sum += shift * self.count as f64;
    }

    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// Share of the values in coarse buckets above the bucket `coarse`.
    pub fn share_above(&self, coarse: i32) -> f64 {
        self.counts.above(coarse) as f64 / self.count as f64
    }
}
