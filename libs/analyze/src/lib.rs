//! Figures of recorded runs. Only [`stats`] reads files and starts threads.
//!
//! - [`intervals`]: confidence intervals for means and quantiles of dependent values, such as waits in a queue.
//! - [`sketch`]: counts of values from which quantiles follow; sketches of parts add up.
//! - [`stats`]: figures by module, endpoint, node and link.
//! - [`trace`]: one trace as trees of invocations and calls, with own times and the critical path.

pub mod intervals;
pub mod sketch;
pub mod stats;
pub mod trace;
