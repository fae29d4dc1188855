//! Tests of the plan of a run: the calls for which calls wait, the self-check, unusual traces, and the lines of the file.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod dependence;
mod lines;
mod own_time;
mod programs;
mod rows;
mod unusual;
