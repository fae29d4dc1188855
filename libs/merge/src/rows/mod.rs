//! Rows of `invocations.jsonl` and `calls.jsonl`: read from lines, kept as short records, written with new derived fields.
//!
//! - [`span_file`]: the two files.
//! - [`row`]: what a merge needs of a row.
//! - [`derived_fields`]: the fields that depend on other rows, and where they are in a line.
//! - [`read`]: a line as a row.
//! - [`records`]: rows, and resolved rows, in bytes.

pub mod derived_fields;
pub mod read;
pub mod records;
pub mod row;
pub mod span_file;
