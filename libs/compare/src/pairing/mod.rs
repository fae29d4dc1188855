//! [`Pairs`]: the requests, invocations and calls that both runs have, or that only one of them has.
//!
//! - [`roots`]: matches requests from outside, by the original that a replay names, or by their ids.
//! - [`window`]: decides which roots of one run the other run should have.
//! - [`descend`]: pairs everything that two paired roots caused; [`children`] matches the calls of two invocations.
//! - [`chance`]: results of calls, and which of them depend on a full queue or a timeout.
//! - [`tally`]: counts differences by kind, with examples.

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
