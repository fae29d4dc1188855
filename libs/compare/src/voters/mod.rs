//! Voters: figures that take part in the verdict. A [`Candidate`] is a voter whose vote is not decided yet.
//!
//! - [`arrivals`], [`graph`], [`slots`]: facts of both runs, in which chance plays no part.
//! - [`means`], [`times`]: means, waits and responses of paired requests; [`mean_times`]: the times whose means vote.
//! - [`unpaired`]: the same figures by module and endpoint, for runs that are not replays.
//! - [`endpoints`]: selects endpoints whose means vote separately.
//! - [`decide`]: decides the votes of all candidates.

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
