//! [`SpanFile`]: the two files whose rows are spans.

use cctf_proto::cctf::{Call, Field, File, Invocation, Row, SpanKind};

/// The order of the two is the order of rows within a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpanFile {
    Invocations,
    Calls,
}

impl SpanFile {
    pub const ALL: [Self; 2] = [Self::Invocations, Self::Calls];

    /// The file of a span that becomes a row.
    pub fn of_kind(kind: SpanKind) -> Self {
        match kind {
            SpanKind::Client | SpanKind::Producer => Self::Calls,
            SpanKind::Server | SpanKind::Consumer | SpanKind::Internal => Self::Invocations,
        }
    }

    pub fn file(self) -> File {
        match self {
            Self::Invocations => File::Invocations,
            Self::Calls => File::Calls,
        }
    }

    /// The contract's fields of the file's rows.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Invocations => Invocation::FIELDS,
            Self::Calls => Call::FIELDS,
        }
    }
}
