//! Decides whether two runs are the same workload, and finds what differs.
//!
//! - [`compare()`]: compares two run folders. The result, [`model::Comparison`], is serialized to JSON, and rendered as a table
//!   and a page.
//! - [`margins`]: the largest differences that are ignored, and the file that overrides them.
//! - [`gather`]: the rows of both runs in compact form; [`pairing`]: matches the requests of both runs.
//! - [`simulated`]: the waits that follow from a run's own arrivals, services and slots.
//! - [`voters`]: the figures that take part in the verdict, each with its vote; [`verdict`]: derives the verdict; [`shown`]:
//!   figures that do not vote.
//! - [`statistics`]: intervals for differences between two runs.
//! - [`attribution`]: how much of a difference is caused by arrivals, services, slots and placement.
//! - [`false_alarms`]: how often replays of one run differ by chance; [`binomial`]: an interval for this share.

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
