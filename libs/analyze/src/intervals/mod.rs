//! Confidence intervals for means and quantiles of dependent values, such as the waits of one queue in order of time.
//!
//! Neighbouring waits are alike, so n waits say less than n independent values. The method is batch means with two adjustments;
//! docs/statistics.md has its formulas, its sources and its measured coverage.
//!
//! - [`Accumulator`]: one pass, bounded memory, values in order of arrival; it can be joined with the accumulator of later values.
//! - [`Interval`], [`NoInterval`]: the result, or the reason why there is none.
//! - [`RunLength`]: the length of a run in relaxation times of its queue.
//! - [`student`]: quantiles of Student's t distribution.

mod accumulator;
mod batches;
mod block;
mod buckets;
mod interval;
mod run_length;
pub mod student;

pub use accumulator::Accumulator;
pub use interval::{Interval, NoInterval};
pub use run_length::{RELAXATIONS_MIN, RunLength};
