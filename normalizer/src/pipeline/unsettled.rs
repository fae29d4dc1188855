//! [`Unsettled`]: rows of the request at hand whose outcome the join does not know yet. Most wait for a span that is in the
//! same request, since a span ends, and is sent, before its parent; so they wait in one buffer, and only what is left at the
//! request's end is held for longer.

use super::held::{Gaps, RowFacts};
use crate::join::Outcome;

/// The join knows a row of the request at hand by its number with this bit.
pub const UNSETTLED: u32 = 1 << 31;
/// With this bit, too, it is inner work that may turn out to be an invocation.
pub const INNER: u32 = 1 << 30;

/// A row of the request at hand.
#[derive(Debug, Clone)]
pub struct UnsettledRow {
    /// Where its line begins in the buffer.
    pub begin: usize,
    /// Where it ends.
    pub end: usize,
    /// Where it is open, counted from its begin.
    pub gaps: Gaps,
    /// What else is known.
    pub facts: RowFacts,
    /// Its run.
    pub run: usize,
    /// The join's entry of its span.
    pub entry: u32,
    /// Whether its outcome has become known.
    pub is_settled: bool,
}

/// Inner work whose parent may be of another instance, which makes it an invocation. Nearly none is, so that its row is
/// encoded at the request's end, if it may still be one then.
#[derive(Debug, Clone, Copy)]
pub struct InnerWork {
    /// The join's entry of its span.
    pub entry: u32,
    /// What it turned out to be, once known.
    pub outcome: Option<Outcome>,
    /// Its span.
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// Its run, once known.
    pub run: Option<usize>,
}

/// The rows, and the lines of those and of the row being encoded, which is the last.
#[derive(Debug, Default)]
pub struct Unsettled {
    /// The rows.
    pub rows: Vec<UnsettledRow>,
    /// What may become one.
    pub inner: Vec<InnerWork>,
    /// Their lines.
    pub lines: Vec<u8>,
}
