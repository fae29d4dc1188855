//! Figures of recorded runs. Only [`stats`], [`survey`] with [`timeline`], and [`endpoint_cpu`] read files, with
//! [`system_stats`]. The first two and [`endpoint_cpu`] start threads.
//!
//! - `any_order`: sums that do not depend on names.
//! - [`coarse`]: counts of values in few bins, for the many sketches of a page.
//! - [`counted`]: the beginning of a note.
//! - [`counts`]: numbers of values by bucket.
//! - [`edges`]: who calls whom.
//! - [`endpoint_cpu`]: CPU time by endpoint of a run whose rows report none.
//! - [`intervals`]: confidence intervals for means and quantiles of dependent values, such as waits in a queue.
//! - [`regression`]: CPU time of a request by endpoint, from the CPU time of a process.
//! - [`sketch`]: counts of values from which quantiles follow; sketches of parts add up.
//! - [`stats`]: figures by module, endpoint, node and link.
//! - [`survey`]: what a report needs besides.
//! - [`system_stats`]: the samples of some metrics.
//! - [`timeline`]: figures of a run in equal intervals of time.
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
