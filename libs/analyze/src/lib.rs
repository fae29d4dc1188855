//! Figures of recorded runs. Pure: no files, no clock, no threads.
//!
//! - [`intervals`]: confidence intervals for means and quantiles of dependent values, such as waits in a queue.

pub mod intervals;
