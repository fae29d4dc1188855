//! [`InvocationRow`] and [`CallRow`]: a row as far as it matters for work.

use cctf_proto::cctf::{Call, Flag, Invocation, Milliseconds, SpanId, SpanKind, TraceId};

/// Ids, names and times of an invocation. `None`: unknown.
#[derive(Debug, Clone, Copy)]
pub struct InvocationRow<'a> {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent_id: Option<SpanId>,
    pub caller_span_id: Option<SpanId>,
    pub module: &'a str,
    pub instance: &'a str,
    pub node: &'a str,
    pub method: Option<&'a str>,
    /// The route, else the path.
    pub route: Option<&'a str>,
    pub enqueue: Milliseconds,
    pub end: Milliseconds,
    pub response: Option<Milliseconds>,
    pub queue: Option<Milliseconds>,
    pub wakeup: Option<Milliseconds>,
    pub slot_wait: Option<Milliseconds>,
    pub cpu: Option<Milliseconds>,
    pub cpu_wait: Option<Milliseconds>,
    pub status: Option<i64>,
    pub is_orphan: bool,
    /// Whether it represents more than one request.
    pub is_sampled: bool,
}

/// Ids, node and times of a call.
#[derive(Debug, Clone, Copy)]
pub struct CallRow<'a> {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub has_parent_span: bool,
    pub ancestor_id: Option<SpanId>,
    pub node: &'a str,
    pub start: Milliseconds,
    pub end: Milliseconds,
    pub is_message: bool,
}

impl<'a> From<&'a Invocation<'_>> for InvocationRow<'a> {
    fn from(row: &'a Invocation<'_>) -> Self {
        Self {
            trace_id: row.trace_id,
            span_id: row.span_id,
            parent_id: row.parent_id,
            caller_span_id: row.caller_span_id,
            module: &row.module_id,
            instance: &row.instance_id,
            node: &row.node,
            method: row.method.as_deref(),
            route: row.route.as_deref().or(row.path.as_deref()),
            enqueue: row.ts_enqueue,
            end: row.ts_end,
            response: row.rt_ms,
            queue: row.queue_time_ms,
            wakeup: row.wakeup_ms,
            slot_wait: row.slot_wait_ms,
            cpu: row.cpu_time_ms,
            cpu_wait: row.cpu_wait_ms,
            status: row.status,
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
            has_parent_span: row.parent_span_id.is_some(),
            ancestor_id: row.ancestor_id,
            node: &row.node,
            start: row.ts_start,
            end: row.ts_end,
            is_message: row.kind == Some(SpanKind::Producer),
        }
    }
}
