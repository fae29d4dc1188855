//! [`Node`]: a row in its tree.

use super::span::Span;

/// Why a row has no row above it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Root {
    /// It is the root of the trace.
    Root,
    /// It is flagged as an orphan: its caller did not arrive.
    Orphan,
    /// It names an invocation above it that has no row in the files.
    AncestorMissing,
    /// It is below itself, which contradicts the contract. The tree is cut here.
    Cycle,
}

/// How the start of a row within its tree was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// From timestamps of one clock. A root is at 0.
    Clock,
    /// In the middle of its call, because they are on different nodes.
    Centred,
    /// The earliest possible start: it was caused by a message from another node, or by a call without a row.
    Earliest,
}

/// A row in its tree. Times are nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub span: Span,
    /// Index of the row above.
    pub parent: Option<usize>,
    /// Why it is a root; `None` for any other row.
    pub root: Option<Root>,
    /// Number of rows above.
    pub depth: usize,
    /// Number of rows directly below.
    pub children: usize,
    /// Start relative to the root of its tree.
    pub start: i64,
    pub placement: Placement,
    /// Of an invocation, the service time in which none of its calls was in progress. Of a call, the time outside of the
    /// invocation that it caused: network and set-up.
    pub own: i64,
    /// Contribution to the critical path of its tree; `None` if it is not on it. The contributions of a tree add up to the
    /// duration of its root.
    pub critical: Option<i64>,
}

impl Node {
    /// Start and end within its tree.
    pub fn interval(&self) -> (i64, i64) {
        (self.start, self.start.saturating_add(self.span.duration()))
    }
}
