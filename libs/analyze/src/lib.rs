//! Computes figures of recorded runs. Only [`stats`], [`survey`] (with [`timeline`]), [`endpoint_cpu`] and [`system_stats`]
//! read files. All of these except [`system_stats`] start threads.
//!
//! - `any_order`: sums that do not depend on the order of names.
//! - [`coarse`]: counts of values in a few bins, for the many sketches of a page.
//! - [`counted`]: the beginning of a sentence about a number of things.
//! - [`counts`]: numbers of values by bucket.
//! - [`edges`]: the call graph.
//! - [`endpoint_cpu`]: estimates CPU times of endpoints, for runs whose rows do not report them.
//! - [`intervals`]: confidence intervals for means and quantiles of dependent values, such as waits in a queue.
//! - [`regression`]: estimates the CPU time of a request at each endpoint from the CPU time of the process.
//! - [`sketch`]: counts of values, from which quantiles are computed; sketches of parts can be added.
//! - [`stats`]: figures by module, endpoint, node and link.
//! - [`survey`]: everything else that a report needs.
//! - [`system_stats`]: samples of some metrics.
//! - [`timeline`]: figures of a run in equal time intervals.
//! - [`trace`]: one trace as trees of invocations and calls, with own times and the critical path.

mod any_order;
pub mod coarse;
pub mod counted;
mod counts;
pub mod edges;
pub mod endpoint_cpu;
pub mod intervals;
pub mod regression;
pub mod sketch;
pub mod stats;
pub mod survey;
mod system_stats;
pub mod timeline;
pub mod trace;
