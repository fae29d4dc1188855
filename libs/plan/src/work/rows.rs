//! [`InvocationRow`] and [`CallRow`]: the fields of a row that describe work.

use cctf_proto::cctf::{Call, Flag, Invocation, Milliseconds, SpanId, SpanKind, TraceId, is_error};

/// A row of `invocations.jsonl`. `None` means unknown.
#[derive(Debug, Clone, Copy)]
pub struct InvocationRow<'a> {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent_id: Option<SpanId>,
    pub parent_span_id: Option<SpanId>,
    pub caller_span_id: Option<SpanId>,
    pub module: &'a str,
    pub instance: &'a str,
    pub node: &'a str,
    pub method: Option<&'a str>,
    /// The route, or else the path.
    pub route: Option<&'a str>,
    pub kind: SpanKind,
    pub enqueue: Milliseconds,
    pub end: Milliseconds,
    pub response: Option<Milliseconds>,
    pub queue: Option<Milliseconds>,
    pub wakeup: Option<Milliseconds>,
    pub slot_wait: Option<Milliseconds>,
    pub cpu: Option<Milliseconds>,
    pub cpu_wait: Option<Milliseconds>,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    pub status: Option<i64>,
    /// Class of its error.
    pub error: Option<&'a str>,
    pub is_failed: bool,
    pub is_orphan: bool,
    /// Whether it represents more than one request.
    pub is_sampled: bool,
}

/// A row of `calls.jsonl`. `None` means unknown.
#[derive(Debug, Clone, Copy)]
pub struct CallRow<'a> {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent_span_id: Option<SpanId>,
    pub ancestor_id: Option<SpanId>,
    pub node: &'a str,
    /// The called module, or else the peer as the caller names it.
    pub to: Option<&'a str>,
    pub method: Option<&'a str>,
    pub path: Option<&'a str>,
    pub start: Milliseconds,
    pub end: Milliseconds,
    pub bytes_out: Option<u64>,
    pub bytes_in: Option<u64>,
    pub status: Option<i64>,
    /// Class of its error.
    pub error: Option<&'a str>,
    /// Number of earlier attempts.
    pub resends: u64,
    pub is_failed: bool,
    pub is_message: bool,
}

impl<'a> From<&'a Invocation<'_>> for InvocationRow<'a> {
    fn from(row: &'a Invocation<'_>) -> Self {
        Self {
            trace_id: row.trace_id,
            span_id: row.span_id,
            parent_id: row.parent_id,
            parent_span_id: row.parent_span_id,
            caller_span_id: row.caller_span_id,
            module: &row.module_id,
            instance: &row.instance_id,
            node: &row.node,
            method: row.method.as_deref(),
            route: row.route.as_deref().or(row.path.as_deref()),
            kind: row.kind,
            enqueue: row.ts_enqueue,
            end: row.ts_end,
            response: row.rt_ms,
            queue: row.queue_time_ms,
            wakeup: row.wakeup_ms,
            slot_wait: row.slot_wait_ms,
            cpu: row.cpu_time_ms,
            cpu_wait: row.cpu_wait_ms,
            bytes_in: row.bytes_in,
            bytes_out: row.bytes_out,
            status: row.status,
            error: row.error_type.as_deref(),
            is_failed: is_error(row.status, row.error_type.as_deref()),
            is_orphan: row.flags.is_some_and(|flags| flags.has(Flag::Orphan)),
            is_sampled: row.sample_weight.is_some_and(|weight| weight > 1.0),
        }
    }
}

impl<'a> From<&'a Call<'_>> for CallRow<'a> {
    fn from(row: &'a Call<'_>) -> Self {
        Self {
            trace_id: row.trace_id,
            span_id: row.span_id,
            parent_span_id: row.parent_span_id,
            ancestor_id: row.ancestor_id,
            node: &row.node,
            to: row.peer_module.as_deref().or(row.peer.as_deref()),
            method: row.method.as_deref(),
            path: row.path.as_deref(),
            start: row.ts_start,
            end: row.ts_end,
            bytes_out: row.bytes_out,
            bytes_in: row.bytes_in,
            status: row.status,
            error: row.error_type.as_deref(),
            resends: row.resend_count.unwrap_or(0),
            is_failed: is_error(row.status, row.error_type.as_deref()),
            is_message: row.kind == Some(SpanKind::Producer),
        }
    }
}
