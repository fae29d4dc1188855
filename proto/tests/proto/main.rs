//! Tests through the public API: rows, generated schemas and tables, and the OTLP views compared with prost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the finding"
)]

mod otlp;
mod rows;
mod schemas;
mod treatments;
