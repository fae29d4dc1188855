//! Confidence intervals for means and quantiles of dependent values, for example of the waits in a queue in order of time.
//!
//! Consecutive waits are similar, so n waits are less informative than n independent values. The method is batch means with two
//! adjustments. docs/statistics.md has its formulas, sources and measured coverage.
//!
//! - [`Accumulator`]: collects values in order of arrival, in one pass and bounded memory. Accumulators of consecutive periods
//!   can be joined.
//! - [`TimeBuckets`]: sums in equal time intervals; [`Linear`]: intervals for rates and shares that are computed from such
//!   sums.
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
