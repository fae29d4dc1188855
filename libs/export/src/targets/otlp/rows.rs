//! [`Row`]: a row of `invocations.jsonl` or `calls.jsonl`, with methods for the fields that both have.

use cctf_proto::cctf::{
    Call, Flag, Flags, Invocation, Milliseconds, SpanId, SpanKind, Stage, TraceId, decode,
};

/// A row that becomes a span.
#[expect(
    clippy::large_enum_variant,
    reason = "a trace has about as many rows of one kind as of the other"
)]
#[derive(Debug, Clone, PartialEq)]
pub enum Row<'a> {
    Invocation(Invocation<'a>),
    Call(Call<'a>),
}

impl<'a> Row<'a> {
    /// Reads a line; `None` if it is not a valid row.
    pub fn read(is_call: bool, line: &'a [u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        if is_call {
            let row = decode(line).or_else(|| serde_json::from_str(line).ok());
            row.map(Self::Call)
        } else {
            let row = decode(line).or_else(|| serde_json::from_str(line).ok());
            row.map(Self::Invocation)
        }
    }

    pub fn is_call(&self) -> bool {
        matches!(self, Self::Call(_))
    }

    pub fn trace_id(&self) -> TraceId {
        match self {
            Self::Invocation(row) => row.trace_id,
            Self::Call(row) => row.trace_id,
        }
    }

    pub fn span_id(&self) -> SpanId {
        match self {
            Self::Invocation(row) => row.span_id,
            Self::Call(row) => row.span_id,
        }
    }

    /// The parent as reported, which may be a span without a row.
    pub fn parent_span_id(&self) -> Option<SpanId> {
        match self {
            Self::Invocation(row) => row.parent_span_id,
            Self::Call(row) => row.parent_span_id,
        }
    }

    /// The nearest invocation above the row.
    pub fn ancestor(&self) -> Option<SpanId> {
        match self {
            Self::Invocation(row) => row.parent_id,
            Self::Call(row) => row.ancestor_id,
        }
    }

    /// The kind of the row's span. A call without a kind, as earlier builds wrote it, is a CLIENT.
    pub fn kind(&self) -> SpanKind {
        match self {
            Self::Invocation(row) => row.kind,
            Self::Call(row) => row.kind.unwrap_or(SpanKind::Client),
        }
    }

    /// Whether the row answers a request or handles a message.
    pub fn is_callee(&self) -> bool {
        matches!(self.kind(), SpanKind::Server | SpanKind::Consumer)
    }

    pub fn has(&self, flag: Flag) -> bool {
        let flags = match self {
            Self::Invocation(row) => row.flags,
            Self::Call(row) => row.flags,
        };
        flags.unwrap_or(Flags::NONE).has(flag)
    }

    pub fn start(&self) -> Milliseconds {
        match self {
            Self::Invocation(row) => row.ts_enqueue,
            Self::Call(row) => row.ts_start,
        }
    }

    pub fn end(&self) -> Milliseconds {
        match self {
            Self::Invocation(row) => row.ts_end,
            Self::Call(row) => row.ts_end,
        }
    }

    pub fn module(&self) -> &str {
        match self {
            Self::Invocation(row) => &row.module_id,
            Self::Call(row) => &row.module_id,
        }
    }

    pub fn instance(&self) -> &str {
        match self {
            Self::Invocation(row) => &row.instance_id,
            Self::Call(row) => &row.instance_id,
        }
    }

    pub fn node(&self) -> &str {
        match self {
            Self::Invocation(row) => &row.node,
            Self::Call(row) => &row.node,
        }
    }

    pub fn stage(&self) -> Stage {
        match self {
            Self::Invocation(row) => row.stage,
            Self::Call(row) => row.stage,
        }
    }
}
