//! [`Accumulator`]: reduces values in order of arrival to the sums and counts that intervals need.

use super::batches::Spread;
use super::block::Block;
use super::buckets;
use super::interval::{Interval, NoInterval};
use super::run_length::RunLength;
use crate::counts::Counts;

/// Maximum number of closed blocks. When it is reached, neighbours are merged. So the batches are 16 to 31 blocks, or at least
/// 10 if accumulators were appended. docs/statistics.md compares numbers of batches.
const BLOCKS_MAX: usize = 32;
/// Minimum number of values. With fewer, batches would have one value each, and there would be too few batches to estimate their
/// skewness.
const VALUES_MIN: u64 = 16;
/// Minimum number of values beyond a quantile. So p99 needs 500 values.
const VALUES_BEYOND_MIN: f64 = 5.0;
/// Maximum magnitude of a value. The sum of squares of larger values can overflow.
const MAGNITUDE_MAX: f64 = 1e140;

/// Sums and counts of a sequence of values, from which intervals are computed. The size does not depend on the number of
/// values: about 50 KiB for values from 1 us to 1 s, and always less than 1 MiB.
///
/// Blocks divide the values by order of arrival, not by time. So all blocks have the same number of values, none is empty, and
/// no clock is needed. If rows arrive a few seconds out of order, only values near the border of two blocks are in the wrong
/// block.
#[derive(Debug, Clone)]
pub struct Accumulator {
    /// The first value. All sums are sums of differences from it.
    origin: f64,
    squares: f64,
    smallest: f64,
    largest: f64,
    not_finite: u64,
    /// At most 12,300 buckets.
    all: Counts<u64>,
    closed: Vec<Block>,
    open: Block,
    /// Number of values at which a block is closed. After [`Self::append`], blocks have between half and twice this number.
    size: u64,
}

impl Default for Accumulator {
    fn default() -> Self {
        Self::new()
    }
}

impl Accumulator {
    pub fn new() -> Self {
        Self {
            origin: 0.0,
            squares: 0.0,
            smallest: f64::INFINITY,
            largest: f64::NEG_INFINITY,
            not_finite: 0,
            all: Counts::default(),
            closed: Vec::new(),
            open: Block::default(),
            size: 1,
        }
    }

    /// Adds the next value in order of time. An infinite value or NaN is counted, but then the result has no interval.
    #[inline]
    pub fn push(&mut self, value: f64) {
        // This is false for NaN.
        let is_usable = value.abs() <= MAGNITUDE_MAX;
        if !is_usable {
            self.not_finite += 1;
            return;
        }
        if self.smallest > self.largest {
            self.origin = value;
        }
        self.smallest = self.smallest.min(value);
        self.largest = self.largest.max(value);
        let difference = value - self.origin;
        self.squares += difference * difference;
        let fine = buckets::fine(value);
        self.all.add(fine);
        self.open.add(difference, fine);
        if self.open.count >= self.size {
            self.closed.push(std::mem::take(&mut self.open));
            // All blocks have this size unless accumulators were appended, so doubling it merges pairs.
            self.merge_blocks(|size| size * 2);
        }
    }

    /// Adds the values of another accumulator. Its values must be later than those of this one.
    pub fn append(&mut self, mut later: Self) {
        later.not_finite += self.not_finite;
        self.not_finite = later.not_finite;
        if later.count() == 0 {
            return;
        }
        if self.count() == 0 {
            *self = later;
            return;
        }
        let shift = later.origin - self.origin;
        self.squares += later.squares + shift * (2.0 * later.sum() + shift * later.count() as f64);
        for block in later.closed.iter_mut().chain([&mut later.open]) {
            block.lower_origin(shift);
        }
        self.smallest = self.smallest.min(later.smallest);
        self.largest = self.largest.max(later.largest);
        self.all.merge(&later.all);
        self.size = self.size.max(later.size);
        let open = std::mem::replace(&mut self.open, later.open);
        self.closed.extend((open.count > 0).then_some(open));
        self.closed.append(&mut later.closed);
        // The sizes differ, so doubling could leave fewer blocks than needed. The size grows by a quarter instead.
        self.merge_blocks(|size| size + (size / 4).max(1));
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(|block| block.count).sum();
        closed + self.open.count
    }

    /// Number of independent values from which the mean would be as certain.
    pub fn effective_sample_size(&self) -> Option<f64> {
        let spread = Spread::of(&self.batches(Block::mean)?);
        Some(self.effective_size(self.variance(), &spread))
    }

    /// An interval that contains the mean in a share `level` of all runs like this one.
    pub fn mean_interval(&self, level: f64, length: RunLength) -> Result<Interval, NoInterval> {
        self.check(level, length)?;
        let spread = Spread::of(&self.batches(Block::mean).ok_or(self.too_few(VALUES_MIN))?);
        let effective = self.effective_size(self.variance(), &spread);
        let error = (self.variance() / effective).sqrt();
        let (below, above) = spread.reach(level).ok_or(NoInterval::InvalidRequest)?;
        let mean = self.origin + self.sum() / self.count() as f64;
        Ok(Interval {
            estimate: mean,
            low: Some((mean - below * error).max(self.lower_bound())),
            high: Some(mean + above * error),
            effective_sample_size: effective,
        })
    }

    /// An interval that contains the quantile `q` in a share `level` of all runs like this one.
    ///
    /// It is the inverse of an interval for the share of values beyond the quantile (Woodruff, Journal of the American
    /// Statistical Association 47, 1952). The logarithm of this share is estimated from the shares in the batches.
    pub fn quantile_interval(&self, q: f64, level: f64, length: RunLength) -> Result<Interval, NoInterval> {
        self.check(level, length)?;
        if !(q > 0.0 && q < 1.0) {
            return Err(NoInterval::InvalidRequest);
        }
        let tail = Tail::of(q);
        let count = self.count() as f64;
        if count * tail.share < VALUES_BEYOND_MIN {
            return Err(self.too_few((VALUES_BEYOND_MIN / tail.share).ceil() as u64));
        }
        let bucket = self.at_share(q).ok_or(self.too_few(VALUES_MIN))?;
        let (low, high) = buckets::ends(bucket);
        let estimate = f64::midpoint(low, high).clamp(self.smallest, self.largest);
        let Some(spread) = self.spread_of_tail(tail, buckets::coarse(bucket)) else {
            // All values are in one coarse bucket, so they differ by less than its width, which is at most 1/16 of its lowest
            // value.
            let effective = self.effective_sample_size().ok_or(self.too_few(VALUES_MIN))?;
            return Ok(Interval {
                estimate,
                low: Some(self.smallest),
                high: Some(self.largest),
                effective_sample_size: effective,
            });
        };
        let variance = spread.mean * (1.0 - spread.mean);
        let effective = self.effective_size(variance, &spread);
        let relative_error = (variance / effective).sqrt() / spread.mean;
        let (below, above) = spread.reach(level).ok_or(NoInterval::InvalidRequest)?;
        let (low, high) = tail.ends((below * relative_error).exp(), (above * relative_error).exp());
        Ok(Interval {
            estimate,
            low: self.low_end(low),
            high: self.high_end(high),
            effective_sample_size: effective,
        })
    }

    /// The smallest possible lower end of an interval. Values such as waits are never negative.
    fn lower_bound(&self) -> f64 {
        if self.smallest >= 0.0 {
            0.0
        } else {
            f64::NEG_INFINITY
        }
    }

    fn low_end(&self, share: f64) -> Option<f64> {
        if share * (self.count() as f64) < 1.0 {
            return (self.smallest >= 0.0).then_some(0.0);
        }
        let (low, _) = buckets::ends(self.at_share(share)?);
        Some(low.max(self.smallest))
    }

    fn high_end(&self, share: f64) -> Option<f64> {
        if (1.0 - share) * (self.count() as f64) < 1.0 {
            return None;
        }
        let (_, high) = buckets::ends(self.at_share(share)?);
        Some(high.min(self.largest))
    }

    /// The bucket such that this share of the values lies in it or below it.
    fn at_share(&self, share: f64) -> Option<i32> {
        self.all.at_rank((share * self.count() as f64).ceil() as u64)
    }

    /// The spread of the shares of values beyond the coarse bucket of the quantile, over the batches. The bucket itself is
    /// included or not, depending on which share is closer to that of the tail. `None` if all values are in this bucket.
    fn spread_of_tail(&self, tail: Tail, coarse: i32) -> Option<Spread> {
        let share = |block: &Block, border: i32| {
            let above = block.share_above(border);
            if tail.is_upper { above } else { 1.0 - above }
        };
        let spreads = [coarse - 1, coarse].map(|border| {
            let batches = self.batches(|block| share(block, border))?;
            let spread = Spread::of(&batches);
            (spread.mean > 0.0 && spread.mean < 1.0).then_some(spread)
        });
        let distance = |spread: &Spread| (spread.mean / tail.share).ln().abs();
        let closer = |a: &Spread, b: &Spread| distance(a).total_cmp(&distance(b));
        spreads.into_iter().flatten().min_by(closer)
    }

    /// The effective sample size: at most the number of values. So batches never count as less dependent than independent
    /// values, because small differences between few batches can be chance.
    fn effective_size(&self, variance: f64, spread: &Spread) -> f64 {
        let count = self.count() as f64;
        (variance / spread.standard_error.powi(2)).min(count)
    }

    fn sum(&self) -> f64 {
        let closed: f64 = self.closed.iter().map(|block| block.sum).sum();
        closed + self.open.sum
    }

    fn variance(&self) -> f64 {
        let count = self.count() as f64;
        let mean = self.sum() / count;
        ((self.squares - mean * self.sum()) / (count - 1.0)).max(0.0)
    }

    /// A figure of each batch, with its number of values. A batch is one block, or several if one of them is small. `None` if
    /// there are fewer than [`VALUES_MIN`] values.
    fn batches(&self, figure: impl Fn(&Block) -> f64) -> Option<Vec<(f64, f64)>> {
        if self.count() < VALUES_MIN {
            return None;
        }
        let mut batches: Vec<(f64, u64)> = Vec::with_capacity(BLOCKS_MAX);
        let add = |batch: &mut (f64, u64), (sum, count): (f64, u64)| {
            batch.0 += sum;
            batch.1 += count;
        };
        let open = Some(&self.open).filter(|open| open.count > 0);
        for block in self.closed.iter().chain(open) {
            let sum = (figure(block) * block.count as f64, block.count);
            match batches.last_mut() {
                Some(last) if self.belongs_together(last.1, block.count) => add(last, sum),
                _ => batches.push(sum),
            }
        }
        if let Some(last) = batches.pop_if(|last| self.is_small(last.1)) {
            match batches.last_mut() {
                Some(before) => add(before, last),
                None => batches.push(last),
            }
        }
        let means = batches
            .into_iter()
            .map(|(sum, count)| (sum / count as f64, count as f64));
        Some(means.collect())
    }

    fn is_small(&self, count: u64) -> bool {
        count * 2 < self.size
    }

    /// Whether two neighbouring blocks are merged. A small block is always merged, because its mean shows too little of the
    /// dependence between values.
    fn belongs_together(&self, left: u64, right: u64) -> bool {
        left + right <= self.size || self.is_small(left) || (self.is_small(right) && left <= self.size)
    }

    /// Merges neighbours until there are fewer than [`BLOCKS_MAX`] blocks. As long as there are too many, `grow` raises the
    /// size of a block.
    fn merge_blocks(&mut self, grow: impl Fn(u64) -> u64) {
        while self.closed.len() >= BLOCKS_MAX {
            let mut merged: Vec<Block> = Vec::with_capacity(BLOCKS_MAX);
            for block in std::mem::take(&mut self.closed) {
                match merged.last_mut() {
                    Some(last) if self.belongs_together(last.count, block.count) => last.merge(&block),
                    _ => merged.push(block),
                }
            }
            self.closed = merged;
            if self.closed.len() >= BLOCKS_MAX {
                self.size = grow(self.size);
            }
        }
    }

    fn too_few(&self, needed: u64) -> NoInterval {
        NoInterval::TooFew {
            values: self.count(),
            needed,
        }
    }

    fn check(&self, level: f64, length: RunLength) -> Result<(), NoInterval> {
        if !(level > 0.0 && level < 1.0) {
            return Err(NoInterval::InvalidRequest);
        }
        if self.not_finite > 0 {
            return Err(NoInterval::NotFinite {
                count: self.not_finite,
            });
        }
        if self.count() < VALUES_MIN {
            return Err(self.too_few(VALUES_MIN));
        }
        length.check()?;
        if self.smallest == self.largest {
            return Err(NoInterval::Constant);
        }
        length.check_size(self.effective_sample_size().unwrap_or(0.0))
    }
}

/// The values on the smaller side of a quantile.
#[derive(Debug, Clone, Copy)]
struct Tail {
    /// Share of the values on this side.
    share: f64,
    is_upper: bool,
}

impl Tail {
    fn of(q: f64) -> Self {
        let is_upper = q >= 0.5;
        Self {
            share: if is_upper { 1.0 - q } else { q },
            is_upper,
        }
    }

    /// The shares of values at or below the two ends of the interval. The true share of the tail lies between its estimate
    /// divided by `below` and its estimate multiplied by `above`.
    fn ends(self, below: f64, above: f64) -> (f64, f64) {
        // At a value whose tail is estimated as `share / above`, the true share may be as large as `share`.
        let (larger, smaller) = (self.share * below, self.share / above);
        if self.is_upper {
            (1.0 - larger, 1.0 - smaller)
        } else {
            (smaller, larger)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_blocks_and_batches_has_bounds() {
        let mut all = Accumulator::new();
        let mut parts = Accumulator::new();
        for place in 1..=100_000_u32 {
            all.push(f64::from(place));
            let mut part = Accumulator::new();
            part.push(f64::from(place));
            parts.append(part);
            for values in [&all, &parts] {
                assert!(values.closed.len() < BLOCKS_MAX);
                let batches = values.batches(Block::mean).map(|batches| batches.len());
                assert!(
                    batches.is_none_or(|number| (8..=32).contains(&number)),
                    "{place}: {batches:?}"
                );
            }
        }
        let batches = all.batches(Block::mean).unwrap();
        assert!(batches.len() >= 16, "{}", batches.len());
        assert_eq!(batches.iter().map(|(_, count)| count).sum::<f64>(), 100_000.0);
    }

    #[test]
    fn the_ends_of_a_tail_are_on_both_sides_of_its_quantile() {
        for q in [0.01, 0.3, 0.5, 0.99] {
            let (low, high) = Tail::of(q).ends(1.1, 1.2);
            assert!(low < q && q < high, "{q}: {low} {high}");
        }
    }
}
