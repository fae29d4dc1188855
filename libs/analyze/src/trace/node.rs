//! [`Node`]: a row at its position in a tree.

use super::span::Span;

/// The reason why a row has no parent row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Root {
    /// The row is the root of the trace.
    Root,
    /// The row is flagged as an orphan: its caller did not arrive.
    Orphan,
    /// The row names a parent invocation that has no row in the files.
    AncestorMissing,
    /// The row is its own ancestor, which contradicts CCTF. The cycle is cut at this row.
    Cycle,
}

/// The method by which the start of a row within its tree was determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// From timestamps of the same clock. A root is at 0.
    Clock,
    /// The invocation was put in the middle of its call, because the two are on different nodes.
    Centred,
    /// The earliest possible start. The row was caused by a message from another node, or by a call without a row.
    Earliest,
}

/// A row at its position in a tree. Times are nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub span: Span,
    /// Index of the parent row.
    pub parent: Option<usize>,
    /// The reason why the row is a root; `None` for other rows.
    pub root: Option<Root>,
    /// Number of ancestors.
    pub depth: usize,
    /// Number of children.
    pub children: usize,
    /// Start, relative to the root of the tree.
    pub start: i64,
    pub placement: Placement,
    /// For an invocation: service time during which none of its calls was in progress. For a call: its time outside of the
    /// invocation that it caused, which is network and set-up time.
    pub own: i64,
    /// Contribution to the critical path of the tree; `None` if the row is not on it. All contributions add up to the duration
    /// of the root.
    pub critical: Option<i64>,
}

impl Node {
    /// Start and end, relative to the root of the tree.
    pub fn interval(&self) -> (i64, i64) {
        (self.start, self.start.saturating_add(self.span.duration()))
    }
}
