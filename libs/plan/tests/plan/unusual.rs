//! Unusual traces: the plan has a limited size, and counts everything that it leaves out.

use plan::plan::{CALLS_PER_INVOCATION_MAX, DEPTH_MAX, Ends, INVOCATIONS_PER_ROOT_MAX, Plan};
use plan::work::What;
use serde_json::json;

use crate::rows::{MS, Rows, below, child_of, id, trees, with};

/// Whether a note contains these words.
fn says(plan: &Plan, words: &str) -> bool {
    plan.notes().iter().any(|note| note.contains(words))
}

#[test]
fn tops_that_are_missing_leave_roots_that_are_marked() {
    let mut rows = Rows::default();
    let orphan = json!({"parent_span_id": id(77), "flags": ["orphan"]});
    rows.invocation(1, [5 * MS, 5 * MS, 10 * MS], orphan);
    rows.invocation(2, [6 * MS, 6 * MS, 9 * MS], child_of(1, 3));
    rows.call(3, 1, [6 * MS, 9 * MS], json!({}));
    let plan = rows.plan();
    let tree = &trees(&plan)[0];
    assert_eq!((tree.is_root, tree.invocations.len()), (false, 2));
    assert_eq!((plan.counts.roots, plan.counts.orphans), (1, 1));
    assert!(says(&plan, "no caller in these rows"), "{:?}", plan.notes());
}

#[test]
fn an_application_without_queue_or_cpu_times_is_said_to_have_none() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 10 * MS], json!({"queue_time_ms": null}));
    let plan = rows.plan();
    let root = &trees(&plan)[0].invocations[0];
    assert_eq!((root.other_ns, root.recorded.queue_ns), (10 * MS, None));
    assert!(says(&plan, "no queue time") && says(&plan, "unknown CPU time"));
}

#[test]
fn calls_with_the_same_times_keep_the_order_of_their_rows() {
    for spans in [[8, 9], [9, 8]] {
        let mut rows = Rows::default();
        rows.invocation(1, [0, 0, 10 * MS], json!({}));
        for span in spans {
            rows.call(span, 1, [2 * MS, 4 * MS], json!({"peer": format!("m{span}")}));
        }
        let recorded = rows.finish();
        let found: Vec<String> = recorded
            .calls
            .iter()
            .map(|call| call.span_id.to_string())
            .collect();
        assert_eq!(found, spans.map(id));
    }
}

#[test]
fn a_message_arrives_after_its_delay_and_delays_nobody() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 30 * MS], json!({}));
    for (consumer, at) in [(2, 25 * MS), (3, 40 * MS), (4, 11 * MS)] {
        let fields = with(child_of(1, 9), json!({"module_id": "worker", "kind": "consumer"}));
        rows.invocation(consumer, [at, at, at + 5 * MS], fields);
    }
    rows.call(
        9,
        1,
        [10 * MS, 12 * MS],
        json!({"kind": "producer", "peer": "topic"}),
    );
    let plan = rows.plan();
    let call = &trees(&plan)[0].invocations[0].calls[0];
    assert_eq!((call.what, call.ends), (What::Message, Ends::Duration(2 * MS)));
    let mut delays: Vec<i64> = call.callees.iter().map(|callee| callee.delay_ns / MS).collect();
    delays.sort_unstable();
    assert_eq!(delays, [0, 13, 28]);
    assert_eq!((plan.counts.messages, plan.counts.negative_delays), (1, 1));
    assert!(says(&plan, "1 message arrived before its call had ended"));
    assert_eq!(plan.counts.deviating(), 0);
}

#[test]
fn a_timeout_is_made_again_and_an_early_answer_is_none() {
    for (fields, ends, is_timeout) in [
        (json!({"error_type": "timeout"}), Ends::Timeout(5 * MS), 1),
        (json!({"status": 200}), Ends::Answer, 0),
    ] {
        let mut rows = Rows::default();
        rows.invocation(1, [0, 0, 30 * MS], json!({}));
        rows.invocation(2, [10 * MS, 10 * MS, 25 * MS], child_of(1, 3));
        rows.call(3, 1, [10 * MS, 15 * MS], fields);
        let plan = rows.plan();
        let call = &trees(&plan)[0].invocations[0].calls[0];
        assert_eq!((call.ends, call.net_ns), (ends, Some(-10 * MS)));
        assert_eq!(
            (
                plan.counts.timeouts,
                plan.counts.early_answers,
                plan.counts.deviating()
            ),
            (is_timeout, 1 - is_timeout, 0)
        );
    }
}

/// In the row of an invocation, the normalizer names the call only if this is the call's only answer, and if the answer ended
/// before the call.
#[test]
fn an_invocation_that_outlived_its_call_belongs_to_it() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 30 * MS], json!({}));
    rows.invocation(2, [10 * MS, 10 * MS, 25 * MS], below(1, 3));
    rows.call(3, 1, [10 * MS, 15 * MS], json!({"status": 200}));
    let plan = rows.plan();
    let calls = &trees(&plan)[0].invocations[0].calls;
    assert_eq!((calls.len(), calls[0].ends), (1, Ends::Answer));
    assert_eq!((calls[0].net_ns, plan.counts.early_answers), (Some(-10 * MS), 1));
    assert_eq!(
        (plan.counts.leaf_calls, plan.recorded.notes.inferred_calls),
        (0, 0)
    );
}

#[test]
fn a_message_has_all_of_its_consumers_by_their_arrival() {
    let consumer = json!({"kind": "consumer"});
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 30 * MS], json!({}));
    rows.invocation(
        2,
        [90 * MS, 90 * MS, 95 * MS],
        with(below(1, 9), consumer.clone()),
    );
    rows.invocation(3, [40 * MS, 40 * MS, 45 * MS], with(below(1, 9), consumer));
    rows.call(
        9,
        1,
        [10 * MS, 12 * MS],
        json!({"kind": "producer", "peer": "topic"}),
    );
    let plan = rows.plan();
    let calls = &trees(&plan)[0].invocations[0].calls;
    let delays: Vec<i64> = calls[0].callees.iter().map(|callee| callee.delay_ns).collect();
    assert_eq!((calls.len(), delays), (1, vec![28 * MS, 78 * MS]));
    assert_eq!((plan.counts.messages, plan.recorded.notes.inferred_calls), (1, 0));
}

/// In Zipkin, a call and its answer have the same id. So the parent span is an invocation, and also a call of another
/// invocation.
#[test]
fn an_invocation_is_not_below_the_call_of_another_one() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 30 * MS], json!({}));
    rows.invocation(2, [2 * MS, 2 * MS, 20 * MS], child_of(1, 2));
    rows.invocation(4, [5 * MS, 5 * MS, 9 * MS], below(2, 2));
    rows.call(2, 1, [MS, 21 * MS], json!({"status": 200}));
    let plan = rows.plan();
    let tree = &trees(&plan)[0];
    let callees = |index: usize| tree.invocations[index].calls[0].callees.len();
    assert_eq!((tree.invocations.len(), callees(0), callees(1)), (3, 1, 1));
    assert_eq!(plan.recorded.notes.inferred_calls, 1);
}

#[test]
fn a_failure_by_a_full_queue_happens_only_if_the_queue_is_full_again() {
    let mut rows = Rows::default();
    let failed = json!({"status": 502});
    rows.invocation(1, [0, 0, 30 * MS], failed.clone());
    rows.invocation(2, [MS, MS, 9 * MS], with(child_of(1, 11), failed.clone()));
    let full = json!({"status": 503, "queue_time_ms": null, "module_id": "full"});
    rows.invocation(3, [2 * MS, 2 * MS, 2 * MS], with(child_of(2, 12), full));
    // The same module answered another request. So it has a queue.
    rows.invocation(4, [0, 0, 5 * MS], json!({"module_id": "full"}));
    // A failure that does not depend on a call stays.
    rows.invocation(
        5,
        [10 * MS, 10 * MS, 20 * MS],
        with(child_of(1, 13), failed.clone()),
    );
    rows.call(11, 1, [0, 10 * MS], failed.clone());
    rows.call(12, 2, [2 * MS, 3 * MS], json!({"status": 503}));
    rows.call(13, 1, [10 * MS, 21 * MS], failed);
    for instance in rows.collector.instances() {
        instance.station.slots = Some(1);
    }
    let plan = rows.plan();
    let tree = trees(&plan)
        .into_iter()
        .find(|tree| tree.invocations.len() > 1)
        .unwrap();
    let fails: Vec<(bool, &[u32])> = tree
        .invocations
        .iter()
        .map(|invocation| (invocation.is_failed, invocation.fails_with.as_slice()))
        .collect();
    let none: &[u32] = &[];
    assert_eq!(
        fails,
        [(true, &[0, 1][..]), (true, &[0]), (true, none), (false, none)]
    );
    assert_eq!((plan.counts.conditional_failures, plan.counts.refused), (2, 1));
}

#[test]
fn a_cycle_has_no_root_and_is_counted() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 10 * MS], child_of(2, 11));
    rows.invocation(2, [0, 0, 10 * MS], child_of(1, 12));
    rows.invocation(3, [0, 0, 10 * MS], json!({}));
    rows.call(11, 2, [0, 10 * MS], json!({}));
    rows.call(12, 1, [0, 10 * MS], json!({}));
    let plan = rows.plan();
    assert_eq!(
        (plan.counts.roots, plan.counts.invocations, plan.counts.unreached),
        (1, 1, 2)
    );
    assert!(says(
        &plan,
        "2 invocations are left out, because they are in a cycle"
    ));
}

#[test]
fn a_call_and_its_answer_can_share_an_id() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 30 * MS], json!({}));
    let shared = json!({"parent_id": id(1), "parent_span_id": id(1), "caller_span_id": id(2), "queue_time_ms": null, "module_id": "b"});
    rows.invocation(2, [11 * MS, 11 * MS, 19 * MS], shared);
    rows.call(2, 1, [10 * MS, 20 * MS], json!({"peer": "b"}));
    let plan = rows.plan();
    let tree = &trees(&plan)[0];
    assert_eq!(tree.invocations.len(), 2);
    let call = &tree.invocations[0].calls[0];
    assert_eq!(
        (call.ends, call.net_ns, call.callees[0].invocation),
        (Ends::Answer, Some(2 * MS), 1)
    );
    assert!(tree.invocations[1].calls.is_empty());
}

#[test]
fn ten_thousand_spans_of_one_trace_are_all_in_the_plan() {
    let mut rows = Rows::default();
    // The root has 50 child invocations with 100 calls each. Every second call has an invocation.
    rows.invocation(1, [0, 0, 10_000 * MS], json!({}));
    let mut spans = 2_u64;
    for branch in 0..50_u64 {
        let (call, middle) = (spans, spans + 1);
        spans += 2;
        let begin = branch as i64 * 200 * MS;
        rows.invocation(middle, [begin, begin, begin + 150 * MS], child_of(1, call));
        rows.calls_later
            .push((call, 1, [begin, begin + 150 * MS], json!({"peer": "m"})));
        for leaf in 0..100 {
            let times = [begin + leaf * MS, begin + (leaf + 1) * MS];
            rows.calls_later
                .push((spans, middle, times, json!({"peer": "db"})));
            if leaf % 2 == 0 {
                rows.invocation(spans + 1, [times[0], times[0], times[1]], child_of(middle, spans));
            }
            spans += 2;
        }
    }
    let plan = rows.plan();
    let counts = &plan.counts;
    assert_eq!((counts.invocations, counts.calls), (1 + 50 + 2_500, 50 + 5_000));
    assert_eq!(
        (
            counts.deviating(),
            counts.invocations_left_out,
            counts.calls_left_out
        ),
        (0, 0, 0)
    );
    assert!(says(&plan, "50 invocations are compared with no others"));
    let middle = &trees(&plan)[0].invocations[1];
    assert_eq!(middle.calls[99].wait.after, [98]);
}

#[test]
fn depth_size_and_calls_beyond_the_bounds_are_left_out_and_said() {
    let mut rows = Rows::default();
    let deepest = u64::from(DEPTH_MAX) + 10;
    rows.invocation(1, [0, 0, 1000 * MS], json!({}));
    for depth in 1..=deepest {
        let call = 100_000 + depth;
        rows.invocation(1 + depth, [0, 0, 1000 * MS], child_of(depth, call));
        rows.calls_later.push((call, depth, [0, 1000 * MS], json!({})));
    }
    let plan = rows.plan();
    assert_eq!(plan.counts.invocations, u64::from(DEPTH_MAX) + 1);
    assert_eq!((plan.counts.invocations_left_out, plan.counts.unreached), (10, 0));
    let tree = &trees(&plan)[0];
    let last = &tree.invocations[DEPTH_MAX as usize].calls[0];
    assert_eq!(last.ends, Ends::Duration(1000 * MS));
    assert!(says(&plan, "10 invocations are left out"));

    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 1000 * MS], json!({}));
    for call in 0..CALLS_PER_INVOCATION_MAX as u64 + 5 {
        let start = call as i64 * 1_000;
        rows.invocation(5_000 + call, [start, start, start + 400], child_of(1, 10 + call));
        rows.calls_later
            .push((10 + call, 1, [start, start + 500], json!({"peer": "db"})));
    }
    let plan = rows.plan();
    assert_eq!(
        (
            plan.counts.calls as usize,
            plan.counts.calls_left_out,
            plan.counts.deviating()
        ),
        (CALLS_PER_INVOCATION_MAX, 5, 0)
    );
    assert!(says(&plan, "5 calls are left out"));
    assert_eq!((plan.counts.invocations_left_out, plan.counts.unreached), (5, 0));
}

#[test]
fn a_root_with_too_many_invocations_is_cut_where_the_maximum_is() {
    let mut rows = Rows::default();
    let (width, mut spans) = (900_u64, 2_u64);
    rows.invocation(1, [0, 0, 1000 * MS], json!({}));
    let mut level = vec![1_u64];
    let mut all = 1;
    for _ in 0..2 {
        let mut next = Vec::new();
        for parent in level.iter().take(20) {
            for _ in 0..width {
                let (call, callee) = (spans, spans + 1);
                spans += 2;
                rows.invocation(callee, [MS, MS, 2 * MS], child_of(*parent, call));
                rows.calls_later.push((call, *parent, [MS, 2 * MS], json!({})));
                next.push(callee);
                all += 1;
            }
        }
        level = next;
    }
    let plan = rows.plan();
    assert_eq!(plan.counts.invocations as usize, INVOCATIONS_PER_ROOT_MAX);
    assert_eq!(plan.counts.invocations + plan.counts.invocations_left_out, all);
}

#[test]
fn contradictory_rows_give_a_plan_and_are_listed() {
    let mut rows = Rows::default();
    rows.invocation(1, [50 * MS, 50 * MS, 100 * MS], json!({}));
    let backwards = json!({"rt_ms": null, "service_time_ms": null, "ts_end": 10, "queue_time_ms": null});
    rows.invocation(2, [60 * MS, 60 * MS, 60 * MS], with(child_of(1, 3), backwards));
    rows.call(3, 1, [20 * MS, 60 * MS], json!({}));
    rows.call(4, 1, [70 * MS, 65 * MS], json!({"peer": "\u{1b}[31m\"<&"}));
    let plan = rows.plan();
    let listed: Vec<(&str, u64)> = plan
        .counts
        .deviations()
        .map(|(reason, listed)| (reason.as_str(), listed.count))
        .collect();
    assert!(listed.contains(&("no_duration", 1)), "{listed:?}");
    for tree in plan.trees() {
        for invocation in &tree.invocations {
            let waits = invocation.calls.iter().map(|call| &call.wait);
            assert!(waits.chain([&invocation.answer]).all(|wait| wait.gap_ns >= 0));
        }
    }
}
