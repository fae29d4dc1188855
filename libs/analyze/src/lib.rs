//! Figures of recorded runs. Pure: no files, no clock, no threads.
//!
//! - [`intervals`]: confidence intervals for means and quantiles of dependent values, such as waits in a queue.
//! - [`trace`]: one trace as trees of invocations and calls, with own times and the critical path.

pub mod intervals;
pub mod trace;
