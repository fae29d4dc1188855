//! Tests of the plan of a run: what calls wait for, the self-check, unusual traces, and its lines.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod dependence;
mod lines;
mod own_time;
mod programs;
mod rows;
mod unusual;
