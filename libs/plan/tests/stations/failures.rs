//! Failures in rows made by hand. The queues decide which of them occur again.

use plan::plan::Plan;
use plan::stations::{Failures, State, load, simulate_with};
use serde_json::json;

use crate::rows::{Rows, add_to, child_of};

/// State and end (ms) of each invocation, in the order of span numbers.
fn ends(plan: &Plan, failures: Failures) -> Vec<(State, i64)> {
    let load = load(plan);
    let outcomes = simulate_with(&load, failures);
    let mut ends: Vec<_> = load
        .visits
        .iter()
        .zip(outcomes)
        .map(|(visit, outcome)| (visit.span_id, outcome.state, outcome.end_ns / 1_000_000))
        .collect();
    ends.sort_by_key(|(span, ..)| *span);
    ends.into_iter().map(|(_, state, end)| (state, end)).collect()
}

#[test]
fn a_failure_by_a_full_queue_and_its_retry_need_a_full_queue_again() {
    let mut rows = Rows::new();
    let failed = json!({"status": 502});
    rows.invocation(1, [0, 0, 30], json!({})).invocation(
        2,
        [1, 1, 9],
        add_to(child_of(1, 11), failed.clone()),
    );
    let full = json!({"status": 503, "queue_time_ms": null, "module_id": "full"});
    rows.invocation(3, [2, 2, 2], add_to(child_of(2, 12), full))
        // The only slot of the module `full` is busy.
        .invocation(4, [0, 0, 5], json!({"module_id": "full"}))
        .invocation(5, [12, 12, 20], child_of(1, 13))
        .call(11, 1, [0, 10], failed)
        .call(12, 2, [2, 3], json!({"status": 503}))
        .call(13, 1, [11, 21], json!({"resend_count": 1}));
    rows.0.instances()[1].station.slots = Some(1);
    let plan = rows.plan();
    use State::{Refused, Served, Unfinished};
    let recorded = [(Served, 30), (Served, 9), (Refused, 2), (Served, 5), (Served, 20)];
    assert_eq!(ends(&plan, Failures::AsRecorded), recorded);
    // Without a limit, the request enters the queue. It starts at 5, and takes the mean time of its endpoint.
    let simulated = [
        (Served, 27),
        (Served, 17),
        (Served, 10),
        (Served, 5),
        (Unfinished, 0),
    ];
    assert_eq!(ends(&plan, Failures::Simulated), simulated);
}

#[test]
fn a_retry_waits_for_its_attempt_although_others_contradict_the_order() {
    let mut rows = Rows::new();
    rows.invocation(1, [0, 0, 100], json!({}))
        .invocation(2, [1000, 1000, 1100], json!({}));
    let timeout = json!({"error_type": "timeout"});
    rows.call(11, 1, [50, 120], timeout.clone())
        .call(12, 1, [130, 140], json!({"resend_count": 1}))
        // In this run, the second call starts before the end of the first one.
        .call(21, 2, [1050, 1200], timeout)
        .call(22, 2, [1130, 1140], json!({}));
    let plan = rows.plan();
    let load = load(&plan);
    let waits: Vec<(bool, Vec<u32>)> = load
        .calls
        .iter()
        .map(|call| (call.retry_of == 0, call.wait.of(&load.waits_for).0.to_vec()))
        .collect();
    let expected = [(false, vec![]), (true, vec![0]), (false, vec![]), (false, vec![])];
    assert_eq!(waits, expected);
}
