//! Shared code of the OTLP tests: arbitrary requests, damage to their bytes, and the comparison of views with prost.

pub mod arbitrary;
pub mod bytes;
pub mod compare;
pub mod reduce;
