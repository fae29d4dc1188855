//! [`Side`]: one of the two compared runs. It has the rows in compact form, their connections, and the facts of the `.json`
//! files.
//!
//! - [`names`]: a table of texts, with the same numbers in both runs.
//! - [`rows`]: the rows; [`chunk`], [`read`]: read the lines of all parts on all cores.
//! - [`tree`]: connects calls with invocations, and finds the roots.
//! - [`facts`]: slots, instances, nodes and the replay.
//! - [`side`]: combines these for one run.

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
