//! OTLP in: borrowed views over the protobuf bytes of an export request, and the checks before they are used.
//!
//! ```text
//! bytes ─▶ admission       valid protobuf at every level (check)?     no: the request is refused
//!                          rows that cannot be used?                  they are counted and reported to the sender
//!                          a text that is not UTF-8?                  repair replaces it
//!       ─▶ trace, metrics  views over the rows, without copies        used by the normalizer's mapping
//! ```
//! Views are safe without the check: for any bytes they return values or a [`WireError`], never a panic. The check ensures
//! that a request is refused before any of its rows is used.

pub mod admission;
pub mod admission_by_layout;
mod ascii;
mod attributes;
pub mod check;
pub mod common;
mod data_points;
pub mod field;
pub mod layouts;
pub mod logs;
pub mod metrics;
pub mod pattern;
pub mod repair;
mod schema;
mod span;
mod span_parts;
pub mod trace;
pub mod usual;
pub mod wire;

pub use wire::{WireError, WireErrorKind};
