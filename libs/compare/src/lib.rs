//! Whether two runs are the same workload, and what differs.
//!
//! - [`model`]: the result, which serializes to JSON and from which table and page are rendered.
//! - [`margins`]: differences that count as none, and the file that replaces them.

pub mod margins;
pub mod model;
