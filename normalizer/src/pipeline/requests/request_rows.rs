//! [`RequestRows`]: rows of the current request that wait for their outcome. Most wait for a span of the same request, since a
//! span ends, and is sent, before its parent. So they share one buffer, and only the rows left at the end of the request
//! become pending rows.

use aggregate::ids::RunId;

use super::row_facts::{DerivedFieldOffsets, RowFacts};
use crate::join::{EntryId, Joined};

/// A row of the current request.
#[derive(Debug, Clone)]
pub struct RequestRow {
    /// Begin of its line in the buffer.
    pub begin: usize,
    /// End of its line.
    pub end: usize,
    /// Offsets from the line's begin.
    pub offsets: DerivedFieldOffsets,
    pub facts: RowFacts,
    pub run: RunId,
    /// The join's entry of its span.
    pub entry: EntryId,
    /// Whether its outcome has become known.
    pub is_resolved: bool,
}

/// Inner work whose parent may be of another instance, which would make it an invocation. Hardly any is, so its row is
/// encoded at the end of the request, if it may still be one then.
#[derive(Debug, Clone, Copy)]
pub struct InnerWork {
    pub joined: Joined,
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// `None` until it is known.
    pub run: Option<RunId>,
}

/// The rows of the current request that wait.
#[derive(Debug, Default)]
pub struct RequestRows {
    pub rows: Vec<RequestRow>,
    pub inner: Vec<InnerWork>,
    /// Lines of the rows, and last the line of the row that is being encoded.
    pub lines: Vec<u8>,
}
