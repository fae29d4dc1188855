//! One trace as trees of invocations and calls, with their times and the critical path.
//!
//! - [`Span`]: what a tree needs of a row.
//! - [`Trace`]: the rows, each a [`Node`], in the order of their trees.
//!
//! Times within a tree are relative to its root. Clocks are compared only within one node. An invocation on another node
//! than its call is placed by durations: the network time of the call is split evenly before and after it.

mod node;
mod own_time;
mod path;
mod span;
mod tree;

pub use node::{Node, Placement, Root};
pub use span::{RowKind, Span};
pub use tree::Trace;

#[cfg(test)]
mod tests;
