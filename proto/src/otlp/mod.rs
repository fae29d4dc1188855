//! OTLP in: borrowed views over the protobuf bytes of an export request, and the checks that a request passes first.
//!
//! ```text
//! bytes ─▶ check   is it protobuf of the right shape, all the way down?   no: the request is refused
//!       ─▶ admission   which rows cannot be used, and why?                they are counted and answered
//!       ─▶ trace, metrics   views over the rows, nothing copied           the pipeline's mapping
//! ```
//! Views never need the check to be safe: on any bytes at all they yield values or a [`WireError`], never a panic.
//! What the check adds is that a whole request is good or refused before its first row is used.

pub mod admission;
pub mod check;
pub mod common;
pub mod logs;
pub mod metrics;
mod schema;
pub mod trace;
pub mod wire;

pub use wire::{WireError, WireErrorKind};
