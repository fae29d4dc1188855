//! Whether two runs are the same workload, and what differs.
//!
//! - [`compare()`]: two run folders to one [`model::Comparison`], which serializes to JSON and from which table and page are rendered.
//! - [`margins`]: differences that count as none, and the file that replaces them.
//! - [`gather`]: the rows of both runs in compact form; [`pairing`]: what they have in common.
//! - [`simulated`]: waits that follow from a run's own arrivals, services and slots.
//! - [`voters`]: named figures, each with its vote; [`verdict`]: the answer that follows; [`shown`]: figures that do not vote.
//! - [`statistics`]: intervals for differences of two runs.
//! - [`attribution`]: what of a difference follows from arrivals, services, slots and placement.
//! - [`false_alarms`]: how often replays of one run differ by chance; [`binomial`]: an interval for that.

pub mod attribution;
pub mod binomial;
mod compare;
pub mod false_alarms;
pub mod gather;
pub mod margins;
pub mod model;
pub mod pairing;
pub mod pairs;
mod shown;
pub mod simulated;
mod stations;
pub mod statistics;
mod verdict;
pub mod voters;

pub use compare::{Options, compare};
pub use gather::{CompareError, Progress};
