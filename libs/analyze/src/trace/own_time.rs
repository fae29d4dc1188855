//! Own time: the part of a row's time during which none of its children was in progress.

use super::node::{Node, Placement};

/// Whether the parent waits for this child. A parent does not wait for what a message causes. If only the earliest possible start
/// of an invocation is known, its position within the parent is unknown, so it does not count.
pub fn is_waited_for(parent: &Node, child: &Node) -> bool {
    match child.span.is_call() {
        true => true,
        false => {
            let is_message = child.span.is_message() || (parent.span.is_call() && parent.span.is_message());
            !is_message && child.placement != Placement::Earliest
        }
    }
}

/// Time of a row, from the start of processing on, during which it did not wait for any child.
pub fn own_time(nodes: &[Node], index: usize, children: &[usize]) -> i64 {
    let node = &nodes[index];
    let (start, end) = node.interval();
    let queue = node.span.work_start.saturating_sub(node.span.start);
    let start = start.saturating_add(queue.max(0)).min(end);
    let mut waits: Vec<(i64, i64)> = children
        .iter()
        .filter(|&&child| is_waited_for(node, &nodes[child]))
        .map(|&child| nodes[child].interval())
        .collect();
    waits.sort_unstable();
    let (mut waited, mut until) = (0, start);
    for (from, to) in waits {
        let (from, to) = (from.max(until), to.min(end));
        if to > from {
            waited += to - from;
            until = to;
        }
    }
    end - start - waited
}
