//! One trace as trees of invocations and calls, with their times and the critical path.
//!
//! - [`Span`]: the fields of a row that a tree needs.
//! - [`Trace`]: the rows, each as a [`Node`], in the order of their trees.
//!
//! Times within a tree are relative to its root. Clocks are compared only within one node (machine). If an invocation is on
//! another machine than its call, its position follows from durations: half of the network time comes before it, and half after
//! it.

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
