//! The critical path: the rows that a root waited for last, from its end back to its start.

use std::cmp::Reverse;

use super::node::Node;
use super::own_time::is_waited_for;

/// Sets the contribution of each row on the critical path of its tree. The path starts at the end of a row and goes backwards
/// in time. It enters the child that ended last, and continues in the row before the start of that child. Other children that
/// were in progress at the same time are not on the path. The part of a child outside of its parent is cut off.
pub fn critical_times(nodes: &mut [Node], children: &[Vec<usize>]) {
    let roots = (0..nodes.len()).filter(|&index| nodes[index].parent.is_none());
    // Rows on the path, each with the interval during which the path is in this row or in its descendants.
    let mut stack: Vec<(usize, i64, i64)> = roots
        .map(|index| {
            let (from, to) = nodes[index].interval();
            (index, from, to)
        })
        .collect();
    while let Some((index, from, to)) = stack.pop() {
        let mut below: Vec<(i64, i64, usize)> = children[index]
            .iter()
            .filter(|&&child| is_waited_for(&nodes[index], &nodes[child]))
            .map(|&child| {
                let (start, end) = nodes[child].interval();
                (end.min(to), start.max(from), child)
            })
            .filter(|(end, start, _)| start < end)
            .collect();
        below.sort_unstable_by_key(|&(end, start, child)| (Reverse(end), start, child));
        let (mut own, mut until) = (0, to);
        for (end, start, child) in below {
            if end <= until {
                own += until - end;
                stack.push((child, start, end));
                until = start;
            }
        }
        nodes[index].critical = Some(own + (until - from));
    }
}
