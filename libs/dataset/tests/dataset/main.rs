//! Data sets of real rows, read with Parquet's own reader; runs that cannot be exported; runs that are added to a data set.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod appended;
mod fixture;
mod layout;
mod refused;
mod values;
