//! What the OTLP tests share: arbitrary requests, damage to their bytes, and the comparison of views with prost.

pub mod arbitrary;
pub mod bytes;
pub mod compare;
