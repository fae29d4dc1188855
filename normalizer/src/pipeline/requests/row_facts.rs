//! [`RowFacts`]: facts about a row that are kept in addition to its encoded fields. [`DerivedFieldOffsets`]: the positions of
//! its derived fields.

use aggregate::ids::{InstanceId, NodeId};
use aggregate::modules::InvocationFacts;
use cctf_proto::cctf::Flags;
use cctf_proto::otlp::trace::{Span, SpanKind};
use serde::{Deserialize, Serialize};

use crate::pipeline::shared::accounts::Fate;
use crate::pipeline::shared::source::Source;

/// The file of a span's row. It is needed to identify a row, because a call and its answer can have the same span id (Zipkin).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RowType {
    Invocation,
    Call,
}

impl RowType {
    pub fn from_kind(kind: SpanKind) -> Self {
        match kind {
            SpanKind::Client | SpanKind::Producer => Self::Call,
            SpanKind::Server | SpanKind::Consumer | SpanKind::Internal | SpanKind::Unspecified => {
                Self::Invocation
            }
        }
    }
}

/// Facts about a row that are kept in addition to its encoded fields.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RowFacts {
    pub row_type: RowType,
    /// Whether its span is of kind SERVER.
    pub is_server: bool,
    /// Whether it handles a message.
    pub is_message: bool,
    /// Flags that do not depend on other rows.
    pub flags: Flags,
    pub trace_id: [u8; 16],
    /// The instance that reported the span.
    pub instance: Option<InstanceId>,
    pub node: Option<NodeId>,
    /// End minus start, nanoseconds.
    pub duration_ns: i64,
    /// Start, nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    /// End, nanoseconds since the Unix epoch.
    pub end_unix_ns: u64,
    /// Whether the span starts when the body has been read.
    pub starts_after_body: bool,
    /// Whether the request failed; used only by the live page. This is not part of the serialized state, so a row that waits
    /// during a restart counts as successful.
    #[serde(skip)]
    pub is_error: bool,
    /// Facts for the statistics of the row's module.
    pub invocation: InvocationFacts,
}

impl RowFacts {
    pub fn new(span: &Span<'_>, trace_id: [u8; 16], source: &Source) -> Self {
        Self {
            row_type: RowType::from_kind(span.kind),
            is_server: span.kind == SpanKind::Server,
            is_message: span.kind == SpanKind::Consumer,
            flags: Flags::NONE,
            trace_id,
            instance: source.instance,
            node: source.node,
            duration_ns: (span.end_time_unix_nano as i64).wrapping_sub(span.start_time_unix_nano as i64),
            start_unix_ns: span.start_time_unix_nano,
            end_unix_ns: span.end_time_unix_nano,
            starts_after_body: false,
            is_error: false,
            invocation: InvocationFacts::default(),
        }
    }

    /// The outcome of the span if it has no row after all: a receipt was only a poll, or the request was already reported.
    pub fn fate_without_row(&self) -> Fate {
        if self.is_message { Fate::Aside } else { Fate::Inner }
    }
}

/// Positions of the derived fields in an encoded row. The written row consists of `[..first]`, the ancestor's field,
/// `[first..second]`, the other fields from the join, `[second..]`, the flags, and the closing brace.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct DerivedFieldOffsets {
    pub first: usize,
    pub second: usize,
}
