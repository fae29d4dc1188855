//! Sends the roots of a recorded run again, to live services: which service, which body, in which order.
//!
//! The plan of `cctf-plan` says which roots are sent and when, and `cctf-load` sends them. This crate is between the two: all checks
//! before the first send, and the bytes of each request.

pub mod bodies;
pub mod compose;
pub mod heads;
pub mod keys;
pub mod overview;
pub mod stand_in;
pub mod store;
pub mod targets;

#[cfg(test)]
mod testing;
