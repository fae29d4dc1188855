//! [`Candidate`]: a voter before all of them are decided together.
//!
//! - [`arrivals`], [`graph`], [`slots`]: facts of both runs, without chance.
//! - [`means`], [`times`]: means, waits and responses of paired requests; [`mean_times`]: times whose means vote.
//! - [`unpaired`]: the same by module and endpoint, for runs that are no replays.
//! - [`endpoints`]: endpoints with a mean of their own.
//! - [`decide`]: votes of all candidates.

pub mod arrivals;
mod candidate;
mod decide;
mod endpoints;
pub mod graph;
mod mean_times;
pub mod means;
pub mod slots;
pub mod times;
pub mod unpaired;

pub use candidate::{Candidate, Figures, NS_PER_MS};
pub use decide::decide;
