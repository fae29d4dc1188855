//! [`Variation`]: the coefficient of variation of a sequence of values, such as the times between arrivals, with an interval.

use super::interval::{Interval, NoInterval};
use super::linear::{Linear, Sample};
use super::run_length::RunLength;

/// Maximum number of closed blocks. When it is reached, neighbours are merged, so the batches are 16 to 31 blocks, as in the
/// accumulator.
const BLOCKS_MAX: usize = 32;

/// Sums of consecutive values.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Block {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Block {
    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
    }
}

/// Sums of values in order, in blocks with equal numbers of values. It takes less than 1 KiB.
#[derive(Debug, Clone, PartialEq)]
pub struct Variation {
    closed: Vec<Block>,
    open: Block,
    /// Number of values at which a block is closed.
    size: f64,
}

impl Default for Variation {
    fn default() -> Self {
        Self {
            closed: Vec::new(),
            open: Block::default(),
            size: 1.0,
        }
    }
}

impl Variation {
    #[inline]
    pub fn push(&mut self, value: f64) {
        self.open.count += 1.0;
        self.open.sum += value;
        self.open.squares += value * value;
        if self.open.count >= self.size {
            self.closed.push(std::mem::take(&mut self.open));
            if self.closed.len() >= BLOCKS_MAX {
                self.merge_pairs();
            }
        }
    }

    /// An interval for the standard deviation divided by the mean. The error of each block is computed with the derivatives of
    /// this figure with respect to the mean of the values and the mean of their squares.
    ///
    /// # Errors
    /// If the run is too short, or the values are equal.
    pub fn interval(&self, level: f64) -> Result<Interval, NoInterval> {
        let mut blocks = self.closed.clone();
        if self.open.count * 2.0 >= self.size {
            blocks.push(self.open);
        } else if let Some(last) = blocks.last_mut() {
            last.merge(&self.open);
        }
        let mut all = Block::default();
        blocks.iter().for_each(|block| all.merge(block));
        let (mean, square) = (all.sum / all.count, all.squares / all.count);
        let relative = square / (mean * mean);
        let estimate = (relative - 1.0).max(0.0).sqrt();
        let errors = blocks.iter().map(|block| {
            let of_sum = (block.sum - mean * block.count) / mean;
            let of_squares = (block.squares - square * block.count) / (mean * mean);
            let error = (of_squares - 2.0 * relative * of_sum) / (2.0 * estimate * all.count);
            // If all values are equal, the error is 0, and the formula would divide by 0.
            (if estimate > 0.0 { error } else { 0.0 }, block.count)
        });
        let sample = Sample {
            values: all.count as u64,
            variance: estimate * estimate,
            least_error: 0.0,
        };
        Linear::new(estimate, errors.collect()).interval(level, RunLength::Unknown, sample)
    }

    fn merge_pairs(&mut self) {
        let pairs = self.closed.chunks(2).map(|pair| {
            let mut block = pair[0];
            pair[1..].iter().for_each(|later| block.merge(later));
            block
        });
        self.closed = pairs.collect();
        self.size *= 2.0;
    }
}
