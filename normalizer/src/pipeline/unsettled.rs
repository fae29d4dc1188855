//! [`Unsettled`]: rows of the request at hand whose outcome the join does not know yet. Most wait for a span that is in the
//! same request, since a span ends, and is sent, before its parent; so they wait in one buffer, and only what is left at the
//! request's end is held for longer.

use super::held::{Gaps, RowFacts};

/// The join knows a row of the request at hand by its number with this bit.
pub const UNSETTLED: u32 = 1 << 31;

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

/// The rows, and the lines of those and of the row being encoded, which is the last.
#[derive(Debug, Default)]
pub struct Unsettled {
    /// The rows.
    pub rows: Vec<UnsettledRow>,
    /// Their lines.
    pub lines: Vec<u8>,
}
