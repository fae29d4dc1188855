//! A trace as one JSON object. Its rows are a flat list in the order of the tree, because nested rows could exceed the depth
//! that JSON readers accept.

use analyze::trace::{Node, Placement, Root, RowKind, Trace};
use cctf_proto::cctf::{Flags, SpanId, TraceId};
use serde::Serialize;

#[derive(Serialize)]
pub struct TraceView<'a> {
    trace_id: TraceId,
    run: &'a str,
    /// Duration of the first root.
    duration_ms: f64,
    invocations: usize,
    calls: usize,
    errors: usize,
    invalid_rows: u64,
    unreadable_lines: u64,
    rows: Vec<RowView<'a>>,
}

/// A row. A double can represent the durations exactly; exact timestamps are in the files.
#[derive(Serialize)]
struct RowView<'a> {
    row: &'static str,
    span_id: SpanId,
    /// Index of the parent row.
    parent: Option<usize>,
    depth: usize,
    root: Option<&'static str>,
    module_id: &'a str,
    instance_id: &'a str,
    node: &'a str,
    method: Option<&'a str>,
    path: Option<&'a str>,
    name: Option<&'a str>,
    peer: Option<&'a str>,
    peer_module: Option<&'a str>,
    status: Option<i64>,
    is_error: bool,
    error_type: Option<&'a str>,
    flags: Flags,
    start_ms: f64,
    start_src: &'static str,
    duration_ms: f64,
    queue_ms: Option<f64>,
    service_ms: Option<f64>,
    cpu_ms: Option<f64>,
    net_ms: Option<f64>,
    own_ms: f64,
    critical: bool,
    critical_ms: Option<f64>,
}

pub fn view<'a>(trace: &'a Trace, run: &'a str, invalid_rows: u64, unreadable_lines: u64) -> TraceView<'a> {
    let calls = trace.nodes.iter().filter(|node| node.span.is_call()).count();
    TraceView {
        trace_id: trace.trace_id,
        run,
        duration_ms: ms(trace.duration()),
        invocations: trace.nodes.len() - calls,
        calls,
        errors: trace.nodes.iter().filter(|node| node.span.is_error()).count(),
        invalid_rows,
        unreadable_lines,
        rows: trace.nodes.iter().map(row).collect(),
    }
}

fn row(node: &Node) -> RowView<'_> {
    let span = &node.span;
    RowView {
        row: match span.row {
            RowKind::Invocation => "invocation",
            RowKind::Call => "call",
        },
        span_id: span.span_id,
        parent: node.parent,
        depth: node.depth,
        root: node.root.map(|root| match root {
            Root::Root => "root",
            Root::Orphan => "orphan",
            Root::AncestorMissing => "ancestor_missing",
            Root::Cycle => "cycle",
        }),
        module_id: &span.module_id,
        instance_id: &span.instance_id,
        node: &span.node,
        method: span.method.as_deref(),
        path: span.path.as_deref(),
        name: span.name.as_deref(),
        peer: span.peer.as_deref(),
        peer_module: span.peer_module.as_deref(),
        status: span.status,
        is_error: span.is_error(),
        error_type: span.error_type.as_deref(),
        flags: span.flags,
        start_ms: ms(node.start),
        start_src: match node.placement {
            Placement::Clock => "clock",
            Placement::Centred => "centred",
            Placement::Earliest => "earliest",
        },
        duration_ms: ms(span.duration()),
        queue_ms: span.queue.map(ms),
        service_ms: span.service.map(ms),
        cpu_ms: span.cpu.map(ms),
        net_ms: span.net.map(ms),
        own_ms: ms(node.own),
        critical: node.critical.is_some(),
        critical_ms: node.critical.map(ms),
    }
}

fn ms(ns: i64) -> f64 {
    ns as f64 / 1e6
}
