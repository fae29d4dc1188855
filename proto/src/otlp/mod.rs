//! OTLP in: borrowed views over the protobuf bytes of an export request, and the checks that a request passes first.
//!
//! ```text
//! bytes ─▶ admission   protobuf of the right shape, all the way down (check)?   no: the request is refused
//!                      which rows cannot be used, and why?                      they are counted and answered
//!                      a text that is not UTF-8?                                repair writes it again
//!       ─▶ trace, metrics   views over the rows, nothing copied                 the pipeline's mapping
//! ```
//! Views never need the check to be safe: on any bytes at all they yield values or a [`WireError`], never a panic.
//! What the check adds is that a whole request is good or refused before its first row is used.

pub mod admission;
mod attributes;
pub mod check;
pub mod common;
mod data_points;
pub mod logs;
pub mod metrics;
pub mod repair;
mod schema;
mod span;
mod span_parts;
pub mod trace;
pub mod wire;

pub use wire::{WireError, WireErrorKind};
