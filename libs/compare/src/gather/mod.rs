//! [`Side`]: one of two runs: its rows in compact form, how they are connected, and what its `.json` files state.
//!
//! - [`names`]: texts by number, the same number in both runs.
//! - [`rows`]: the rows; [`chunk`], [`read`]: lines of all parts, on all cores.
//! - [`tree`]: calls with their invocations, and the roots.
//! - [`facts`]: slots, instances, nodes and the replay.
//! - [`side`]: all of it for one run.

mod chunk;
pub mod facts;
pub mod names;
mod read;
pub mod rows;
mod side;
pub mod tree;

pub use facts::Facts;
pub use names::Names;
pub use read::{CALLS_MAX, CompareError, INVOCATIONS_MAX, Progress};
pub use rows::{Call, Invocation, NONE, Outcome, Rows, UNKNOWN, known};
pub use side::{Side, both};
pub use tree::Tree;
