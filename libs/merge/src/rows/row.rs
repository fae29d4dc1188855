//! [`SpanRow`]: the values of one invocation or call that a merge needs.

use std::borrow::Cow;

use cctf_proto::cctf::{Flags, SpanId, SpanKind, TraceId};

use crate::ids::{InstanceId, NodeId};
use crate::inputs::LineLocation;
use crate::rows::derived_fields::DerivedFieldOffsets;
use crate::rows::span_file::SpanFile;

/// A range of bytes of a line, of the partition that holds the row's record, or of the texts of rows that are in no folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByteRange {
    pub begin: u32,
    pub end: u32,
}

impl ByteRange {
    pub fn slice(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.begin as usize..self.end as usize]
    }
}

/// The bytes in which the texts of rows are.
#[derive(Debug, Clone, Copy)]
pub enum Texts<'b> {
    /// JSON strings: in the line from which a row was read, or in the partition with its record.
    Json(&'b [u8]),
    /// The texts themselves, of rows that are in no folder.
    Plain(&'b str),
}

#[derive(Debug, Clone)]
pub struct SpanRow {
    pub file: SpanFile,
    pub kind: SpanKind,
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent_span_id: Option<SpanId>,
    /// The recorded nearest ancestor that is an invocation: an invocation's `parent_id`, or a call's `ancestor_id`.
    pub ancestor: Option<SpanId>,
    pub caller_span_id: Option<SpanId>,
    pub net_ns: Option<i64>,
    pub flags: Flags,
    /// An invocation's `ts_enqueue`, or a call's `ts_start`, nanoseconds.
    pub start: i64,
    /// `ts_end`, nanoseconds.
    pub end: i64,
    pub node: NodeId,
    pub instance: InstanceId,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    pub cpu_ns: Option<u64>,
    pub service_ns: Option<i64>,
    /// Whether the span starts after its request's body was read.
    pub starts_after_body: bool,
    pub method: Option<ByteRange>,
    /// The route, or else the path.
    pub path: Option<ByteRange>,
    pub peer: Option<ByteRange>,
    pub peer_module: Option<ByteRange>,
    /// Hash of the parts of the line that do not depend on other rows.
    pub own_hash: u64,
    pub location: LineLocation,
    /// Positions of the line's derived fields. `None`: they are searched for when the line is written.
    pub derived_fields: Option<DerivedFieldOffsets>,
}

impl SpanRow {
    /// A row whose other values are empty.
    pub fn new(file: SpanFile, location: LineLocation) -> Self {
        Self {
            file,
            kind: SpanKind::Client,
            trace_id: TraceId([0; 16]),
            span_id: SpanId([0; 8]),
            parent_span_id: None,
            ancestor: None,
            caller_span_id: None,
            net_ns: None,
            flags: Flags::NONE,
            start: 0,
            end: 0,
            node: NodeId(0),
            instance: InstanceId(0),
            bytes_in: None,
            bytes_out: None,
            cpu_ns: None,
            service_ns: None,
            starts_after_body: false,
            method: None,
            path: None,
            peer: None,
            peer_module: None,
            own_hash: 0,
            location,
            derived_fields: None,
        }
    }

    pub fn is_call(&self) -> bool {
        self.file == SpanFile::Calls
    }

    /// A text of the row. `None` if it is absent or invalid.
    pub fn text<'b>(&self, texts: Texts<'b>, range: Option<ByteRange>) -> Option<Cow<'b, str>> {
        let range = range?;
        match texts {
            Texts::Json(bytes) => rundir::fields::text(range.slice(bytes)),
            Texts::Plain(text) => text
                .get(range.begin as usize..range.end as usize)
                .map(Cow::Borrowed),
        }
    }

    /// End minus start, nanoseconds.
    pub fn duration(&self) -> i64 {
        self.end.wrapping_sub(self.start)
    }
}
