//! [`RequestRows`]: rows of the current request that wait for their outcome. Most wait for another span of the same request,
//! because a span ends, and is sent, before its parent. So these rows share one buffer. Rows that still wait at the end of the
//! request become pending rows.

use aggregate::ids::RunId;

use super::row_facts::{DerivedFieldOffsets, RowFacts};
use crate::join::{EntryId, Joined};

/// A row of the current request.
#[derive(Debug, Clone)]
pub struct RequestRow {
    /// Offset of the start of its line in the buffer.
    pub begin: usize,
    /// Offset of the end of its line.
    pub end: usize,
    /// Offsets of the derived fields, relative to the start of the line.
    pub offsets: DerivedFieldOffsets,
    pub facts: RowFacts,
    pub run: RunId,
    /// The join's entry of its span.
    pub entry: EntryId,
    /// Whether its outcome has become known.
    pub is_resolved: bool,
}

/// Inner work whose parent may belong to another instance, so that it would be an invocation. This is rare, so its row is
/// encoded only at the end of the request, if it may still be an invocation.
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
    /// Lines of the rows. The last one may be the line of a row that is being encoded.
    pub lines: Vec<u8>,
}
