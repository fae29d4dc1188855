//! Traces that do not come from a folder, such as the traces that `cctf convert` rebuilds from call graphs. A [`TraceSource`] passes
//! them to a merge, each as a [`MadeTrace`].

use std::time::Duration;

use cctf_proto::cctf::{Flag, Flags, SpanId, SpanKind, Stage, TraceId};

use crate::ids::InstanceId;
use crate::inputs::LineLocation;
use crate::rows::row::{ByteRange, SpanRow};

pub use crate::requests::partitions::trace_hash;
pub use crate::rows::derived_fields::DerivedFields;
pub use crate::rows::span_file::SpanFile;

/// Passes traces to a merge, and makes the lines of their rows.
pub trait TraceSource {
    /// Number of the records from which the traces are made, for the progress.
    fn records(&self) -> u64;

    /// Silence after which an instance counts as stopped.
    fn stale_after(&self) -> Duration;

    /// Passes each trace to `take`, with the number of its records. Each trace must be passed once, as a whole, and in the order of
    /// [`trace_hash`]. The merge resolves the traces of folders in the same order, which decides which endpoints of a module are listed.
    ///
    /// # Errors
    /// If a trace cannot be made, or an error of `take`.
    fn each_trace(
        &mut self,
        take: &mut dyn FnMut(&mut MadeTrace, u64) -> anyhow::Result<()>,
    ) -> anyhow::Result<()>;

    /// Appends the line of a row, without a line break, from the record in [`MadeRow`].
    ///
    /// # Errors
    /// If the record is damaged.
    fn write(
        &mut self,
        file: SpanFile,
        record: &[u8],
        derived: &DerivedFields<'_>,
        out: &mut Vec<u8>,
    ) -> anyhow::Result<()>;
}

/// The sender of rows. Its number is its place among all senders that the source has added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    pub module_id: String,
    pub instance_id: String,
    pub node: String,
    pub stage: Stage,
}

/// An invocation or a call, as far as a merge needs to know it.
#[derive(Debug, Clone, Copy)]
pub struct MadeRow<'r> {
    pub kind: SpanKind,
    pub span_id: SpanId,
    pub parent_span_id: Option<SpanId>,
    /// Nanoseconds since the Unix epoch.
    pub start: i64,
    pub end: i64,
    /// Number of the sender.
    pub sender: u32,
    pub is_truncated: bool,
    pub method: Option<&'r str>,
    /// The route, or else the path.
    pub path: Option<&'r str>,
    pub peer: Option<&'r str>,
    /// The record from which the source makes the line.
    pub record: &'r [u8],
}

/// The rows of one trace. Its memory is used again.
#[derive(Debug)]
pub struct MadeTrace {
    trace_id: TraceId,
    /// Each row has its sender's number instead of node and instance, until the merge knows them.
    pub(crate) rows: Vec<SpanRow>,
    /// Records of the rows.
    pub(crate) records: Vec<u8>,
    pub(crate) texts: String,
    /// Senders that no earlier trace has.
    pub(crate) senders: Vec<Sender>,
}

impl Default for MadeTrace {
    fn default() -> Self {
        Self {
            trace_id: TraceId([0; 16]),
            rows: Vec::new(),
            records: Vec::new(),
            texts: String::new(),
            senders: Vec::new(),
        }
    }
}

impl MadeTrace {
    /// Starts another trace.
    pub fn begin(&mut self, trace_id: TraceId) {
        self.trace_id = trace_id;
        self.rows.clear();
        self.records.clear();
        self.texts.clear();
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds a sender. Its number is the count of all earlier senders.
    pub fn add_sender(&mut self, sender: Sender) {
        self.senders.push(sender);
    }

    pub fn push(&mut self, made: &MadeRow<'_>) {
        let begin = self.records.len();
        self.records.extend_from_slice(made.record);
        let location = LineLocation::in_no_folder(begin as u64, made.record.len() as u32);
        let mut flags = Flags::NONE;
        if made.is_truncated {
            flags = flags.with(Flag::Truncated);
        }
        if made.end < made.start {
            flags = flags.with(Flag::Negative);
        }
        if made.parent_span_id.is_some() {
            // Nobody has looked for the caller yet.
            flags = flags.with(Flag::Orphan);
        }
        let row = SpanRow {
            kind: made.kind,
            trace_id: self.trace_id,
            span_id: made.span_id,
            parent_span_id: made.parent_span_id,
            flags,
            start: made.start,
            end: made.end,
            instance: InstanceId(made.sender),
            service_ns: Some(made.end - made.start).filter(|&ns| ns >= 0),
            method: self.text(made.method),
            path: self.text(made.path),
            peer: self.text(made.peer),
            ..SpanRow::new(SpanFile::of_kind(made.kind), location)
        };
        self.rows.push(row);
    }

    fn text(&mut self, text: Option<&str>) -> Option<ByteRange> {
        let begin = self.texts.len() as u32;
        self.texts.push_str(text?);
        Some(ByteRange {
            begin,
            end: self.texts.len() as u32,
        })
    }
}
