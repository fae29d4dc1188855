//! [`Trace`]: the rows of a trace in the order of their trees. Children are in the order of time.

use std::cmp::Reverse;
use std::collections::HashMap;

use cctf_proto::cctf::{SpanId, TraceId};

use super::node::{Node, Placement, Root};
use super::own_time::own_time;
use super::path::critical_times;
use super::span::{RowKind, Span};

/// One trace. Each row comes after its parent row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    pub trace_id: TraceId,
    pub nodes: Vec<Node>,
}

/// The parent row, or the reason why there is none.
type Above = Result<usize, Root>;

impl Trace {
    /// Builds the trees from the rows of one trace, which may be in any order. This never fails: rows that contradict each
    /// other become roots.
    pub fn new(trace_id: TraceId, mut spans: Vec<Span>) -> Self {
        // Sorts the rows, so that the result does not depend on the order of the files.
        spans.sort_by_key(order);
        let mut above = rows_above(&spans);
        cut_cycles(&spans, &mut above);
        let mut nodes = in_order(spans, &above);
        for index in 0..nodes.len() {
            place(&mut nodes, index);
        }
        let children = children_of(&nodes);
        for (index, below) in children.iter().enumerate() {
            nodes[index].own = own_time(&nodes, index, below);
            nodes[index].children = below.len();
        }
        critical_times(&mut nodes, &children);
        Self { trace_id, nodes }
    }

    /// Duration of the first tree.
    pub fn duration(&self) -> i64 {
        self.nodes.first().map_or(0, |node| node.span.duration())
    }
}

fn order(span: &Span) -> (i64, Reverse<RowKind>, SpanId, i64) {
    (span.start, Reverse(span.row), span.span_id, span.end)
}

fn rows_above(spans: &[Span]) -> Vec<Above> {
    let (mut invocations, mut calls) = (HashMap::new(), HashMap::new());
    for (index, span) in spans.iter().enumerate() {
        let rows = if span.is_call() {
            &mut calls
        } else {
            &mut invocations
        };
        // If several rows have the same id, the first one is the parent.
        rows.entry(span.span_id).or_insert(index);
    }
    let above = |span: &Span| -> Above {
        if !span.is_call()
            && let Some(call) = call_of(span, spans, &calls)
        {
            return Ok(call);
        }
        match span.ancestor {
            Some(ancestor) => invocations.get(&ancestor).copied().ok_or(Root::AncestorMissing),
            None if span.is_orphan() => Err(Root::Orphan),
            None => Err(Root::Root),
        }
    };
    spans.iter().map(above).collect()
}

/// The call that caused an invocation. This is the call that its row names. Otherwise, it is the call with the same id (Zipkin
/// uses one id for both), or the call that is its parent span. An orphan becomes a child of such a call only if the call has no
/// parent invocation: then the orphan was cut out of a cycle.
fn call_of(span: &Span, spans: &[Span], calls: &HashMap<SpanId, usize>) -> Option<usize> {
    let with_id = |id: SpanId| calls.get(&id).copied();
    let is_twin = |call: &usize| spans[*call].parent_span_id == span.parent_span_id;
    let named = span.caller.and_then(with_id);
    let found = named
        .or_else(|| with_id(span.span_id).filter(is_twin))
        .or_else(|| span.parent_span_id.and_then(with_id))?;
    (!span.is_orphan() || spans[found].ancestor.is_none()).then_some(found)
}

/// Cuts each cycle at its first row, which becomes a root.
fn cut_cycles(spans: &[Span], above: &mut [Above]) {
    let mut walks = vec![usize::MAX; spans.len()];
    for walk in 0..spans.len() {
        let mut next = walk;
        while walks[next] == usize::MAX {
            walks[next] = walk;
            match above[next] {
                Ok(parent) => next = parent,
                Err(_) => break,
            }
        }
        // This walk reached one of its own rows again, so the row is in a cycle.
        if walks[next] == walk && above[next].is_ok() {
            let (mut first, mut index) = (next, next);
            while let Ok(parent) = above[index]
                && parent != next
            {
                index = parent;
                first = first.min(index);
            }
            above[first] = Err(Root::Cycle);
        }
    }
}

/// The rows in the order of their trees. Trees of real roots come before those of orphans.
fn in_order(spans: Vec<Span>, above: &[Above]) -> Vec<Node> {
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
    let mut roots = Vec::new();
    for (index, above) in above.iter().enumerate() {
        match above {
            Ok(parent) => below[*parent].push(index),
            Err(root) => roots.push((*root, index)),
        }
    }
    roots.sort_unstable();
    let mut spans: Vec<Option<Span>> = spans.into_iter().map(Some).collect();
    let mut nodes: Vec<Node> = Vec::with_capacity(spans.len());
    // Rows to visit: index of the row among the spans, and index of its parent among the nodes.
    let mut stack: Vec<(usize, Option<usize>)> =
        roots.into_iter().rev().map(|(_, index)| (index, None)).collect();
    while let Some((index, parent)) = stack.pop() {
        let Some(span) = spans[index].take() else {
            continue;
        };
        stack.extend(below[index].iter().rev().map(|&child| (child, Some(nodes.len()))));
        nodes.push(Node {
            span,
            parent,
            root: above[index].err(),
            depth: parent.map_or(0, |parent| nodes[parent].depth + 1),
            children: 0,
            start: 0,
            placement: Placement::Clock,
            own: 0,
            critical: None,
        });
    }
    nodes
}

/// Sets the start of a row from its parent, whose start is already set.
fn place(nodes: &mut [Node], index: usize) {
    let Some(parent) = nodes[index].parent else {
        return;
    };
    let (above, span) = (&nodes[parent], &nodes[index].span);
    let (offset, placement) = if span.has_clock_of(&above.span) {
        (span.start.saturating_sub(above.span.start), Placement::Clock)
    } else if !above.span.is_call() {
        (0, Placement::Earliest)
    } else if above.span.is_message() || span.is_message() {
        (above.span.duration(), Placement::Earliest)
    } else {
        let outside = above.span.duration() - span.duration();
        (outside.max(0) / 2, Placement::Centred)
    };
    let start = above.start.saturating_add(offset);
    (nodes[index].start, nodes[index].placement) = (start, placement);
}

fn children_of(nodes: &[Node]) -> Vec<Vec<usize>> {
    let mut children = vec![Vec::new(); nodes.len()];
    for (index, node) in nodes.iter().enumerate() {
        if let Some(parent) = node.parent {
            children[parent].push(index);
        }
    }
    children
}
