//! Trees of handmade and of random rows: each row once, whatever the rows claim, and times that add up.

use cctf_proto::cctf::{Flag, Flags, SpanId, SpanKind, TraceId};
use proptest::prelude::*;

use super::{Placement, Root, RowKind, Span, Trace};

fn id(number: u8) -> SpanId {
    SpanId::from_bytes(&[0, 0, 0, 0, 0, 0, 1, number]).unwrap()
}

fn trace_of(spans: Vec<Span>) -> Trace {
    let trace_id = TraceId::parse("5b8efff7980381030000000000000001").unwrap();
    Trace::new(trace_id, spans)
}

/// A row of module `m` on a node, in ns of that node's clock.
fn span(row: RowKind, number: u8, node: &str, times: (i64, i64), above: Option<u8>) -> Span {
    Span {
        row,
        span_id: id(number),
        parent_span_id: None,
        ancestor: above.map(id),
        caller: None,
        module_id: "m".to_owned(),
        instance_id: format!("{node}-1"),
        node: node.to_owned(),
        kind: Some(match row {
            RowKind::Invocation => SpanKind::Server,
            RowKind::Call => SpanKind::Client,
        }),
        method: None,
        path: None,
        name: None,
        peer_module: None,
        peer: None,
        status: None,
        error_type: None,
        resend_count: None,
        flags: Flags::NONE,
        start: times.0,
        work_start: times.0,
        end: times.1,
        queue: None,
        service: None,
        cpu: None,
        net: None,
    }
}

fn invocation(number: u8, node: &str, times: (i64, i64), above: Option<u8>) -> Span {
    span(RowKind::Invocation, number, node, times, above)
}

fn call(number: u8, node: &str, times: (i64, i64), above: Option<u8>) -> Span {
    span(RowKind::Call, number, node, times, above)
}

fn caused_by(call: u8, invocation: Span) -> Span {
    Span {
        caller: Some(id(call)),
        ..invocation
    }
}

/// Last digit of the id, depth, start, own time and contribution of each row.
fn rows(trace: &Trace) -> Vec<(u8, usize, i64, i64, Option<i64>)> {
    let number = |span: &Span| u8::from_str_radix(&span.span_id.to_string()[14..], 16).unwrap();
    trace
        .nodes
        .iter()
        .map(|node| {
            (
                number(&node.span),
                node.depth,
                node.start,
                node.own,
                node.critical,
            )
        })
        .collect()
}

#[test]
fn a_callee_on_another_node_is_in_the_middle_of_its_call() {
    // The clock of b is far behind.
    let trace = trace_of(vec![
        invocation(1, "a", (1000, 1100), None),
        call(2, "a", (1020, 1080), Some(1)),
        caused_by(2, invocation(3, "b", (5, 45), Some(1))),
        call(4, "b", (10, 40), Some(3)),
    ]);
    assert_eq!(
        rows(&trace),
        [
            (1, 0, 0, 40, Some(40)),
            (2, 1, 20, 20, Some(20)),
            (3, 2, 30, 10, Some(10)),
            (4, 3, 35, 30, Some(30)),
        ]
    );
    assert_eq!(trace.nodes[2].placement, Placement::Centred);
    assert_eq!(trace.duration(), 100);
}

#[test]
fn a_callee_on_the_same_node_is_placed_by_the_clock() {
    let trace = trace_of(vec![
        call(1, "a", (100, 200), None),
        caused_by(1, invocation(2, "a", (110, 150), None)),
    ]);
    assert_eq!(rows(&trace), [(1, 0, 0, 60, Some(60)), (2, 1, 10, 40, Some(40))]);
    assert_eq!(trace.nodes[1].placement, Placement::Clock);
}

#[test]
fn an_instance_that_is_on_two_nodes_has_two_clocks() {
    let hour = 3_600_000_000_000;
    let mut moved = invocation(2, "b", (hour, hour + 10), Some(1));
    moved.instance_id = "a-1".to_owned();
    let trace = trace_of(vec![invocation(1, "a", (0, 50), None), moved.clone()]);
    assert_eq!(trace.nodes[1].placement, Placement::Earliest);
    assert_eq!(trace.nodes[1].interval(), (0, 10));
    // Where a node is unknown, the instance decides.
    moved.node = "unknown".to_owned();
    let trace = trace_of(vec![invocation(1, "a", (0, 50), None), moved]);
    assert_eq!(trace.nodes[1].placement, Placement::Clock);
}

#[test]
fn the_critical_path_goes_through_the_call_that_ended_last() {
    // 2 and 3 overlap, 4 follows: 3 ended last of the first two, so 2 is not on the path.
    let trace = trace_of(vec![
        invocation(1, "a", (0, 100), None),
        call(4, "a", (60, 90), Some(1)),
        call(3, "a", (20, 50), Some(1)),
        call(2, "a", (10, 40), Some(1)),
    ]);
    assert_eq!(
        rows(&trace),
        [
            (1, 0, 0, 30, Some(40)),
            (2, 1, 10, 30, None),
            (3, 1, 20, 30, Some(30)),
            (4, 1, 60, 30, Some(30)),
        ]
    );
}

#[test]
fn nothing_waits_for_what_a_message_causes() {
    let producer = Span {
        kind: Some(SpanKind::Producer),
        ..call(2, "a", (10, 20), Some(1))
    };
    let consumer = Span {
        kind: Some(SpanKind::Consumer),
        ..caused_by(2, invocation(3, "b", (0, 500), Some(1)))
    };
    let trace = trace_of(vec![invocation(1, "a", (0, 100), None), producer, consumer]);
    assert_eq!(
        rows(&trace),
        [
            (1, 0, 0, 90, Some(90)),
            (2, 1, 10, 10, Some(10)),
            (3, 2, 20, 500, None),
        ]
    );
    assert_eq!(trace.nodes[2].placement, Placement::Earliest);
}

#[test]
fn own_time_is_service_time_without_queue_and_calls() {
    let queued = Span {
        work_start: 30,
        ..invocation(1, "a", (0, 100), None)
    };
    // A call that ends after its invocation counts up to its end.
    let trace = trace_of(vec![queued, call(2, "a", (80, 150), Some(1))]);
    assert_eq!(rows(&trace), [(1, 0, 0, 50, Some(80)), (2, 1, 80, 70, Some(20))]);
}

#[test]
fn rows_without_a_row_above_are_roots_with_their_reason() {
    let orphan = Span {
        flags: Flags::NONE.with(Flag::Orphan),
        ..invocation(4, "a", (3, 9), None)
    };
    let trace = trace_of(vec![
        orphan,
        invocation(3, "a", (4, 9), Some(99)),
        invocation(1, "a", (5, 9), None),
        invocation(5, "a", (6, 9), Some(5)),
        invocation(6, "a", (7, 9), Some(7)),
        invocation(7, "a", (8, 9), Some(6)),
    ]);
    let roots: Vec<_> = trace.nodes.iter().map(|node| node.root).collect();
    let (cycle, none) = (Some(Root::Cycle), None);
    assert_eq!(
        roots,
        [
            Some(Root::Root),
            Some(Root::Orphan),
            Some(Root::AncestorMissing),
            cycle,
            cycle,
            none
        ]
    );
    assert_eq!(
        rows(&trace).iter().map(|row| row.0).collect::<Vec<_>>(),
        [1, 4, 3, 5, 6, 7]
    );
}

/// If the normalizer has cut a cycle, the call of the orphan is a descendant of the orphan itself.
#[test]
fn an_orphan_is_below_its_call_only_if_that_is_a_root() {
    let orphan = |number, caller| Span {
        flags: Flags::NONE.with(Flag::Orphan),
        ..caused_by(caller, invocation(number, "a", (0, 9), None))
    };
    let trace = trace_of(vec![orphan(1, 2), call(2, "a", (1, 8), Some(1))]);
    assert_eq!(trace.nodes[0].root, Some(Root::Orphan));
    assert_eq!(trace.nodes[1].parent, Some(0));
    let trace = trace_of(vec![orphan(1, 2), call(2, "a", (0, 9), None)]);
    assert_eq!(trace.nodes[0].root, Some(Root::Root));
    assert_eq!(trace.nodes[1].parent, Some(0));
}

prop_compose! {
    fn any_span()(
        is_call in any::<bool>(),
        number in 0..12_u8,
        above in proptest::option::of(0..14_u8),
        caller in proptest::option::of(0..12_u8),
        node in 0..3_u8,
        start in prop_oneof![9 => 0..100_i64, 1 => any::<i64>()],
        queue in -5..20_i64,
        length in prop_oneof![9 => -5..100_i64, 1 => any::<i64>()],
        kind in 0..5_usize,
        is_orphan in any::<bool>(),
    ) -> Span {
        let node = ["a", "b", "unknown"][usize::from(node)];
        let row = if is_call { RowKind::Call } else { RowKind::Invocation };
        let end = start.saturating_add(length);
        Span {
            caller: caller.map(id),
            parent_span_id: caller.map(id),
            work_start: start.saturating_add(queue),
            kind: Some(SpanKind::ALL[kind]),
            flags: if is_orphan { Flags::NONE.with(Flag::Orphan) } else { Flags::NONE },
            ..span(row, number, node, (start, end), above)
        }
    }
}

proptest! {
    /// Duplicate ids, cycles, missing rows and absurd times included.
    #[test]
    fn each_row_has_one_place_and_the_path_adds_up(spans in proptest::collection::vec(any_span(), 0..24)) {
        let trace = trace_of(spans.clone());
        prop_assert_eq!(trace.nodes.len(), spans.len());
        let sorted = |mut spans: Vec<String>| { spans.sort(); spans };
        let found = trace.nodes.iter().map(|node| format!("{:?}", node.span)).collect();
        let given = spans.iter().map(|span| format!("{span:?}")).collect();
        prop_assert_eq!(sorted(found), sorted(given));
        let mut path = vec![0_i128; trace.nodes.len()];
        for (index, node) in trace.nodes.iter().enumerate().rev() {
            prop_assert_eq!(node.root.is_none(), node.parent.is_some());
            prop_assert!(node.own >= 0 && node.own <= node.span.duration());
            path[index] += i128::from(node.critical.unwrap_or(0));
            match node.parent {
                Some(parent) => {
                    prop_assert!(parent < index && trace.nodes[parent].depth + 1 == node.depth);
                    path[parent] += path[index];
                }
                None => {
                    let (start, end) = node.interval();
                    prop_assert_eq!(path[index], i128::from(end) - i128::from(start));
                }
            }
        }
    }

    #[test]
    fn the_tree_does_not_depend_on_the_order_of_the_rows(
        (spans, shuffled) in proptest::collection::vec(any_span(), 0..16).prop_flat_map(|spans| {
            let mut ids: Vec<(bool, SpanId)> = spans.iter().map(|span: &Span| (span.is_call(), span.span_id)).collect();
            ids.sort();
            ids.dedup();
            // Rows with one id are alike only by their times, so each id stays once.
            let once: Vec<Span> = ids.iter().filter_map(|(is_call, id)| {
                spans.iter().find(|span| (span.is_call(), span.span_id) == (*is_call, *id)).cloned()
            }).collect();
            (Just(once.clone()), Just(once).prop_shuffle())
        })
    ) {
        prop_assert_eq!(trace_of(spans), trace_of(shuffled));
    }
}
