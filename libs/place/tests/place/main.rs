//! Tests of placements: against queueing theory, against arithmetic, and of what is refused.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod arithmetic;
mod divided;
mod events;
mod refused;
mod run;
mod searching;
mod strategies;
mod theory;
