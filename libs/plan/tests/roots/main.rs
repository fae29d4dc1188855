//! Roots of runs made by hand: which rows are roots, of which kind they are, and when they are sent.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod hostile;
mod joining;
mod reading;
mod recorded;
mod run;
mod selecting;
