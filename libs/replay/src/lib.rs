//! Sends the roots of a recorded run again to live services. It decides which service gets a request, and with which body.
//!
//! The crate `plan` selects the roots and their times, and the load driver sends them. This crate is between the two: it makes
//! all checks before the first request, and encodes each request.

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
