//! [`Pairs`]: the requests, invocations and calls that two runs have in common, and what only one of them has.
//!
//! - [`roots`]: requests from outside, matched by the original that a replay names, or by their ids.
//! - [`window`]: which roots of one run the other one should have.
//! - [`descend`]: both trees below a pair of roots, in lockstep; [`children`] matches the calls of two invocations.
//! - [`chance`]: outcomes of calls, and which of them depend on a full queue or a timeout.
//! - [`tally`]: differences by signature, with examples.

mod chance;
mod children;
mod descend;
mod roots;
mod tally;
mod window;

pub use chance::{is_chance, outcome_of, status};
pub use children::{by_route, receiver};
pub use descend::{Pairs, pair};
pub use roots::{RootPairs, match_roots};
pub use tally::{Differences, RandomCounts, Tally};
