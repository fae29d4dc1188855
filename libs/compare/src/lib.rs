//! Whether two runs are the same workload, and what differs.
//!
//! - [`model`]: the result, which serializes to JSON and from which table and page are rendered.
//! - [`margins`]: differences that count as none, and the file that replaces them.
//! - [`false_alarms`]: how often replays of one run differ by chance; [`binomial`]: an interval for that.
//! - [`statistics`]: intervals for differences of two runs.

pub mod binomial;
pub mod false_alarms;
pub mod gather;
pub mod margins;
pub mod model;
pub mod statistics;
