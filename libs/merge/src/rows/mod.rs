//! Rows of `invocations.jsonl` and `calls.jsonl`: read from lines, kept as short records, written with new derived fields.
//!
//! - [`span_file`]: the two files.
//! - [`row`]: the values of a row that a merge needs.
//! - [`derived_fields`]: the fields that depend on other rows, and their positions in a line.
//! - [`read`]: reads a line as a row.
//! - [`records`]: encodes rows and resolved rows as bytes.

pub mod derived_fields;
pub mod read;
pub mod records;
pub mod row;
pub mod span_file;
