//! [`Span`]: the fields of a row that a tree needs, in owned form.

use cctf_proto::cctf::{Call, File, Flag, Flags, Invocation, Milliseconds, SpanId, SpanKind, Text, TraceId};

/// Name of a node that was not reported.
const UNKNOWN_NODE: &str = "unknown";

/// The file of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowKind {
    Invocation,
    Call,
}

/// A row of a trace. Times are nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub row: RowKind,
    pub span_id: SpanId,
    /// The parent span that the telemetry reported. It may have no row.
    pub parent_span_id: Option<SpanId>,
    /// The parent invocation.
    pub ancestor: Option<SpanId>,
    /// The call that caused the invocation.
    pub caller: Option<SpanId>,
    pub module_id: String,
    pub instance_id: String,
    pub node: String,
    pub kind: Option<SpanKind>,
    pub method: Option<String>,
    /// The route, or else the path.
    pub path: Option<String>,
    pub name: Option<String>,
    /// Receiver of a call: its module if known, or else the peer as reported.
    pub peer_module: Option<String>,
    pub peer: Option<String>,
    pub status: Option<i64>,
    pub error_type: Option<String>,
    pub resend_count: Option<u64>,
    pub flags: Flags,
    /// Arrival of an invocation, start of a call.
    pub start: i64,
    /// Start of processing. For a call, its start.
    pub work_start: i64,
    pub end: i64,
    pub queue: Option<i64>,
    pub service: Option<i64>,
    pub cpu: Option<i64>,
    pub net: Option<i64>,
}

impl Span {
    /// Parses a row of invocations or calls.
    ///
    /// # Errors
    /// If it is invalid.
    pub fn read(file: File, line: &[u8]) -> serde_json::Result<(TraceId, Self)> {
        Ok(match file {
            File::Calls => {
                let call: Call<'_> = serde_json::from_slice(line)?;
                (call.trace_id, call.into())
            }
            _ => {
                let invocation: Invocation<'_> = serde_json::from_slice(line)?;
                (invocation.trace_id, invocation.into())
            }
        })
    }

    /// Time from arrival to end; 0 if the timestamps contradict each other.
    pub fn duration(&self) -> i64 {
        self.end.saturating_sub(self.start).max(0)
    }

    pub fn is_call(&self) -> bool {
        self.row == RowKind::Call
    }

    pub fn is_error(&self) -> bool {
        cctf_proto::cctf::is_error(self.status, self.error_type.as_deref())
    }

    pub fn is_orphan(&self) -> bool {
        self.flags.has(Flag::Orphan)
    }

    /// Whether the sender does not wait for the result of this row.
    pub fn is_message(&self) -> bool {
        matches!(self.kind, Some(SpanKind::Producer | SpanKind::Consumer))
    }

    /// Whether the timestamps of both rows come from the same clock. If a node is unknown, the instances are compared.
    pub fn has_clock_of(&self, other: &Self) -> bool {
        if self.node != UNKNOWN_NODE && other.node != UNKNOWN_NODE {
            return self.node == other.node;
        }
        self.module_id == other.module_id && self.instance_id == other.instance_id
    }
}

fn owned(text: Option<Text<'_>>) -> Option<String> {
    text.map(|text| text.0.into_owned())
}

fn ns(ms: Option<Milliseconds>) -> Option<i64> {
    ms.map(Milliseconds::as_ns)
}

impl From<Invocation<'_>> for Span {
    fn from(row: Invocation<'_>) -> Self {
        Self {
            row: RowKind::Invocation,
            span_id: row.span_id,
            parent_span_id: row.parent_span_id,
            ancestor: row.parent_id,
            caller: row.caller_span_id,
            module_id: row.module_id.0.into_owned(),
            instance_id: row.instance_id.0.into_owned(),
            node: row.node.0.into_owned(),
            kind: Some(row.kind),
            method: owned(row.method),
            path: owned(row.route).or_else(|| owned(row.path)),
            name: owned(row.name),
            peer_module: None,
            peer: None,
            status: row.status,
            error_type: owned(row.error_type),
            resend_count: None,
            flags: row.flags.unwrap_or_default(),
            start: row.ts_enqueue.as_ns(),
            work_start: row.ts_start.as_ns(),
            end: row.ts_end.as_ns(),
            queue: ns(row.queue_time_ms),
            service: ns(row.service_time_ms),
            cpu: ns(row.cpu_time_ms),
            net: ns(row.net_ms),
        }
    }
}

impl From<Call<'_>> for Span {
    fn from(row: Call<'_>) -> Self {
        Self {
            row: RowKind::Call,
            span_id: row.span_id,
            parent_span_id: row.parent_span_id,
            ancestor: row.ancestor_id,
            caller: None,
            module_id: row.module_id.0.into_owned(),
            instance_id: row.instance_id.0.into_owned(),
            node: row.node.0.into_owned(),
            kind: row.kind,
            method: owned(row.method),
            path: owned(row.path),
            name: owned(row.name),
            peer_module: owned(row.peer_module),
            peer: owned(row.peer),
            status: row.status,
            error_type: owned(row.error_type),
            resend_count: row.resend_count,
            flags: row.flags.unwrap_or_default(),
            start: row.ts_start.as_ns(),
            work_start: row.ts_start.as_ns(),
            end: row.ts_end.as_ns(),
            queue: None,
            service: None,
            cpu: None,
            net: None,
        }
    }
}
