//! Intervals for the difference of two runs, and distances between them. docs/statistics.md has their measured coverage.
//!
//! - [`Estimate`]: a difference with its error.
//! - [`mean`], [`quantile`]: the difference of means and quantiles of paired or independent values in order of time.
//! - [`holm`]: levels for many voters.
//! - [`distance`]: figures that are shown but do not vote.

pub mod distance;
mod estimate;
pub mod holm;
pub mod mean;
pub mod quantile;
mod sections;

pub use estimate::{Estimate, NEEDED_MAX, NEVER, TooShort};
