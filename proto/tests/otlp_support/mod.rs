//! What the OTLP tests share: arbitrary requests, damage to their bytes, and the comparison of views with prost.
#![allow(dead_code, reason = "each test file takes what it needs")]

pub mod arbitrary;
pub mod bytes;
pub mod compare;
pub mod reduce;
