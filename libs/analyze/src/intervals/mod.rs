//! Confidence intervals for means and quantiles of dependent values, such as the waits of one queue in order of time.
//!
//! Neighbouring waits are alike, so n waits say less than n independent values. The method is batch means with two adjustments;
//! docs/statistics.md has its formulas, its sources and its measured coverage.
//!
//! - [`Accumulator`]: one pass, bounded memory, values in order of arrival; it can be joined with the accumulator of later values.
//! - [`TimeBuckets`]: sums in equal intervals of time; [`Linear`]: intervals for rates and shares, which follow from such sums.
//! - [`Variation`]: an interval for a coefficient of variation.
//! - [`Interval`], [`NoInterval`]: the result, or the reason why there is none.
//! - [`RunLength`]: the length of a run in relaxation times of its queue.
//! - [`Spread`]: the standard error of a mean from the means of batches, for figures that have no accumulator.
//! - [`student`]: quantiles of Student's t distribution.

mod accumulator;
mod batches;
mod block;
mod buckets;
mod interval;
mod linear;
mod run_length;
pub mod student;
mod time_buckets;
mod variation;

pub use accumulator::Accumulator;
pub use batches::Spread;
pub use interval::{Interval, NoInterval};
pub use linear::{Linear, Part, Sample};
pub use run_length::{RELAXATIONS_MIN, RunLength};
pub use time_buckets::{Batch, TimeBuckets};
pub use variation::Variation;
