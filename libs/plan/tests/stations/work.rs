//! The load of rows made by hand: own time, the calls for which calls wait, and rows that contradict each other.

use plan::plan::{Ends, Plan};
use plan::stations::{Load, Outcome, State, load, simulate};
use plan::work::{Arrival, NONE, Station, Waited};
use serde_json::json;

use crate::rows::{Rows, add_to, child_of, child_of_outside, id};

/// Gaps in ms, each with the calls for which it waits.
fn shape(load: &Load) -> Vec<(i64, Vec<u32>)> {
    let calls = load.calls.iter();
    calls
        .map(|call| {
            let after = call.wait.of(&load.waits_for).0;
            (call.wait.gap_ns / 1_000_000, after.to_vec())
        })
        .collect()
}

/// Outcomes in the order of span numbers.
fn by_span(plan: &Plan) -> Vec<Outcome> {
    let load = load(plan);
    let mut outcomes: Vec<_> = load.visits.iter().zip(simulate(&load)).collect();
    outcomes.sort_by_key(|(visit, _)| visit.span_id);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

#[test]
fn own_time_is_around_calls_and_each_waits_for_what_had_ended() {
    let plan = Rows::new()
        .invocation(1, [100, 105, 200], json!({}))
        // Two calls start together, a third one after the first of these ends, and a fourth one after all.
        .call(2, 1, [110, 120], json!({}))
        .call(3, 1, [112, 140], json!({}))
        .call(4, 1, [123, 130], json!({}))
        .call(5, 1, [150, 160], json!({}))
        .plan();
    let load = load(&plan);
    assert_eq!(
        shape(&load),
        [(5, vec![]), (7, vec![]), (3, vec![0]), (10, vec![1, 2])]
    );
    let visit = load.visits[0];
    assert_eq!((visit.wait_ns, visit.answer.gap_ns), (5_000_000, 40_000_000));
}

#[test]
fn a_call_that_another_one_already_waits_for_is_left_out() {
    let plan = Rows::new()
        .invocation(1, [0, 0, 100], json!({}))
        .call(2, 1, [0, 90], json!({}))
        .call(3, 1, [10, 20], json!({}))
        .call(4, 1, [30, 40], json!({}))
        .call(5, 1, [50, 60], json!({}))
        .plan();
    assert_eq!(
        shape(&load(&plan)),
        [(0, vec![]), (10, vec![]), (10, vec![1]), (10, vec![2])]
    );
}

#[test]
fn calls_of_no_length_at_one_moment_do_not_wait_for_themselves() {
    let plan = Rows::new()
        .invocation(1, [0, 0, 100], json!({}))
        .call(2, 1, [0, 50], json!({}))
        .call(3, 1, [10, 10], json!({}))
        .call(4, 1, [10, 10], json!({}))
        .plan();
    let outcome = by_span(&plan)[0];
    assert_eq!(
        (outcome.state, outcome.response_ns()),
        (State::Served, 100_000_000)
    );
}

#[test]
fn wake_ups_and_waits_for_further_slots_are_no_own_time() {
    let mut rows = Rows::new();
    rows.invocation(1, [0, 6, 40], json!({"wakeup_ms": 2, "slot_wait_ms": 7}))
        .call(2, 1, [10, 30], json!({}));
    rows.0.instances()[0].station = Station {
        slots: Some(1),
        is_released: true,
        queue_limit: None,
    };
    let load = load(&rows.plan());
    let visit = load.visits[0];
    assert_eq!(
        (visit.wait_ns, visit.setup_ns, visit.answer.gap_ns),
        (4_000_000, 2_000_000, 3_000_000)
    );
    // No other request had the slot, so this wait was a wake-up.
    assert_eq!((visit.slot_wait_ns, visit.answer.setup_ns), (0, 7_000_000));
    let outcome = simulate(&load)[0];
    assert_eq!((outcome.wait_ns, outcome.slot_wait_ns), (0, 0));
}

#[test]
fn a_sleep_without_a_slot_is_what_its_cpu_time_leaves() {
    let mut rows = Rows::new();
    let fields = json!({"cpu_time_ms": 3, "cpu_wait_ms": 1, "slot_wait_ms": 2});
    rows.invocation(1, [0, 0, 20], fields);
    rows.0.instances()[0].station = Station {
        slots: Some(1),
        is_released: true,
        queue_limit: None,
    };
    let load = load(&rows.plan());
    assert_eq!(
        (load.calls[0].wait.gap_ns, load.calls[0].ends),
        (4_000_000, Ends::Duration(14_000_000))
    );
    assert_eq!(load.visits[0].answer.gap_ns, 0);
}

#[test]
fn the_way_is_measured_on_one_node_and_halved_between_two() {
    for (node, out_ms) in [("n", 1), ("other", 5)] {
        let plan = Rows::new()
            .invocation(1, [0, 0, 100], json!({}))
            .invocation(2, [11, 11, 50], add_to(child_of(1, 3), json!({"node": node})))
            .call(3, 1, [10, 59], json!({}))
            .plan();
        let load = load(&plan);
        let call = load.calls[0];
        assert_eq!(
            (call.out_ns, call.back_ns),
            (out_ms * 1_000_000, (10 - out_ms) * 1_000_000)
        );
        assert_eq!(
            (call.callee, call.ends, load.visits[1].caller),
            (1, Ends::Answer, 0)
        );
        assert_eq!(simulate(&load)[0].end_ns, 100_000_000);
    }
}

#[test]
fn timeouts_messages_and_late_calls_delay_nobody() {
    let plan = Rows::new()
        .invocation(1, [0, 0, 100], json!({}))
        // Its caller stopped waiting after 5 ms.
        .invocation(2, [11, 11, 80], child_of(1, 5))
        // It processed a message.
        .invocation(3, [40, 40, 90], child_of(1, 6))
        // The answer was sent before this invocation was called.
        .invocation(4, [130, 130, 140], child_of(1, 7))
        .call(5, 1, [10, 15], json!({"error_type": "timeout"}))
        .call(6, 1, [20, 21], json!({"kind": "producer"}))
        .call(7, 1, [120, 150], json!({}))
        .call(8, 1, [90, 170], json!({}))
        .plan();
    let load = load(&plan);
    let ends: Vec<(Ends, bool)> = load
        .calls
        .iter()
        .map(|call| (call.ends, call.is_after_answer))
        .collect();
    assert_eq!(
        ends,
        [
            (Ends::Timeout(5_000_000), false),
            (Ends::Duration(1_000_000), false),
            (Ends::Duration(80_000_000), false),
            (Ends::Answer, true)
        ]
    );
    let times: Vec<(i64, i64)> = by_span(&plan)
        .iter()
        .map(|outcome| (outcome.enqueue_ns / 1_000_000, outcome.end_ns / 1_000_000))
        .collect();
    assert_eq!(times, [(0, 100), (11, 80), (40, 90), (130, 140)]);
}

#[test]
fn roots_orphans_and_their_calls_arrive_at_their_time() {
    let recorded = Rows::new()
        .invocation(1, [10, 10, 20], child_of_outside(9))
        .invocation(2, [5, 5, 6], json!({}))
        .invocation(
            3,
            [7, 7, 8],
            json!({"parent_span_id": id(77), "flags": ["orphan"]}),
        )
        .call(9, 0, [8, 25], json!({"node": "driver"}))
        .call(10, 0, [9, 9], json!({}))
        .finish();
    let arrivals: Vec<(u32, i64, bool)> = recorded
        .arrivals
        .iter()
        .map(|arrival| (arrival.work, arrival.at_ns / 1_000_000, arrival.is_root))
        .collect();
    assert_eq!(arrivals, [(1, 5, true), (2, 7, false), (0, 10, true)]);
    let Arrival {
        out_ns,
        back_ns,
        span_id,
        ..
    } = recorded.arrivals[2];
    assert_eq!((out_ns + back_ns, span_id.to_string()), (7_000_000, id(9)));
    assert_eq!(
        (recorded.notes.unanswered_roots, recorded.notes.without_caller),
        (1, 1)
    );
}

#[test]
fn a_consumer_below_a_poll_is_a_root_and_an_answer_to_no_call_is_not() {
    let recorded = Rows::new()
        .invocation(1, [5, 5, 6], json!({"parent_span_id": id(50)}))
        .invocation(2, [7, 7, 8], child_of_outside(9))
        .finish();
    let roots: Vec<bool> = recorded.arrivals.iter().map(|arrival| arrival.is_root).collect();
    assert_eq!(roots, [true, false]);
}

#[test]
fn a_parent_without_a_row_of_the_call_still_calls() {
    let plan = Rows::new()
        .invocation(1, [0, 0, 100], json!({}))
        .invocation(
            2,
            [20, 20, 30],
            json!({"parent_id": id(1), "parent_span_id": id(50), "instance_id": "j"}),
        )
        .plan();
    let load = load(&plan);
    assert_eq!((load.notes.inferred_calls, load.arrivals.len()), (1, 1));
    let call = load.calls[0];
    assert_eq!((call.callee, call.wait.gap_ns), (1, 20_000_000));
}

#[test]
fn several_invocations_of_one_call_all_run_and_one_answers() {
    let plan = Rows::new()
        .invocation(1, [0, 0, 100], json!({}))
        .invocation(2, [12, 12, 20], child_of(1, 9))
        .invocation(3, [15, 15, 99], child_of(1, 9))
        .invocation(4, [14, 14, 98], child_of(1, 9))
        .call(9, 1, [10, 30], json!({}))
        // A second row of the same call.
        .call(9, 1, [10, 30], json!({}))
        .plan();
    let outcomes = by_span(&plan);
    let enqueued: Vec<i64> = outcomes
        .iter()
        .map(|outcome| outcome.enqueue_ns / 1_000_000)
        .collect();
    assert_eq!(enqueued, [0, 12, 15, 14]);
    assert!(outcomes.iter().all(|outcome| outcome.state == State::Served));
    let duplicates = plan.recorded.notes.duplicates;
    assert_eq!((outcomes[0].end_ns, duplicates), (100_000_000, 1));
}

#[test]
fn contradictory_rows_are_bounded_and_counted() {
    let plan = Rows::new()
        .invocation(1, [50, 50, 100], json!({}))
        .invocation(1, [50, 50, 100], json!({}))
        .invocation(
            2,
            [60, 70, 90],
            json!({"rt_ms": null, "service_time_ms": null, "ts_end": 10}),
        )
        .call(3, 1, [20, 60], json!({}))
        .call(4, 1, [70, 65], json!({}))
        .call(5, 99, [70, 75], json!({}))
        .plan();
    let recorded = &plan.recorded;
    assert_eq!(
        (recorded.notes.duplicates, recorded.notes.without_duration),
        (1, 1)
    );
    assert_eq!((recorded.calls.len(), recorded.works[1].response_ns), (2, 0));
    let outcomes = by_span(&plan);
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.state == State::Served && outcome.response_ns() >= 0)
    );
}

#[test]
fn an_instance_without_queue_times_has_unlimited_slots() {
    let mut rows = Rows::new();
    for (span, module, fields) in [
        (1, "foreign", json!({"queue_time_ms": null})),
        (2, "foreign", json!({"queue_time_ms": null, "status": 503})),
        (3, "own", json!({"queue_time_ms": 4})),
        (4, "own", json!({"queue_time_ms": null, "status": 503})),
        (5, "own", json!({"queue_time_ms": null, "status": 404})),
    ] {
        rows.invocation(span, [0, 4, 10], add_to(fields, json!({"module_id": module})));
    }
    for instance in rows.0.instances() {
        instance.station.slots = Some(1);
    }
    let plan = rows.plan();
    let load = load(&plan);
    let slots: Vec<Option<u32>> = load
        .names
        .instances
        .iter()
        .map(|instance| instance.station.slots)
        .collect();
    assert_eq!(slots, [None, Some(1)]);
    let waited: Vec<Waited> = load.visits.iter().map(|visit| visit.waited).collect();
    use Waited::{Recorded, Refused, Unknown};
    assert_eq!(waited, [Unknown, Unknown, Recorded, Refused, Unknown]);
    assert_eq!((load.notes.without_queue_time, load.notes.refused), (2, 1));
    // The refused request would have taken the same time as the other one.
    assert_eq!(load.visits[3].answer, load.visits[2].answer);
    assert!(load.visits.iter().all(|visit| visit.caller == NONE));
}

#[test]
fn many_overlapping_calls_wait_for_a_bounded_number() {
    let mut rows = Rows::new();
    rows.invocation(1, [0, 0, 1000], json!({}));
    rows.call(2, 1, [0, 900], json!({}));
    for span in 0..100 {
        rows.call(10 + span, 1, [10, 20 + span], json!({}));
    }
    let plan = rows.call(500, 1, [200, 300], json!({})).plan();
    let load = load(&plan);
    let last = load.calls.last().unwrap();
    assert_eq!((last.wait.after, plan.counts.shortened_waits), (64, 1));
    assert_eq!(simulate(&load)[0].end_ns, 1_000_000_000);
}

#[test]
fn a_row_of_several_requests_is_counted_and_texts_are_decoded() {
    let mut rows = Rows::new();
    rows.invocation(
        1,
        [1, 2, 3],
        json!({"path": "/a\"b\\u00e9", "module_id": "m\n", "sample_weight": 2.5}),
    );
    rows.call(2, 1, [1, 2], json!({"node": "\\", "kind": "producer"}));
    let recorded = rows.finish();
    assert_eq!(recorded.notes.sampled, 1);
    assert_eq!(recorded.names.modules, ["m\n"]);
    assert_eq!(recorded.names.endpoints[0].route.as_deref(), Some("/a\"b\\u00e9"));
}

#[test]
fn absurd_times_do_not_overflow() {
    const HUGE: u64 = 9_223_372_036_854;
    let mut rows = Rows::new();
    let calls_back = json!({"rt_ms": HUGE, "queue_time_ms": HUGE, "wakeup_ms": HUGE, "slot_wait_ms": HUGE});
    rows.invocation(
        1,
        [0, 0, HUGE],
        json!({"rt_ms": HUGE, "ts_enqueue": -9_000_000_000_000_i64}),
    );
    rows.invocation(2, [HUGE, HUGE, HUGE], add_to(child_of(1, 9), calls_back.clone()));
    rows.invocation(3, [HUGE, HUGE, HUGE], calls_back);
    rows.invocation(
        4,
        [5, 5, 5],
        add_to(
            child_of(1, 9),
            json!({"rt_ms": HUGE, "cpu_time_ms": HUGE, "cpu_wait_ms": HUGE}),
        ),
    );
    rows.call(9, 1, [0, HUGE], json!({}));
    rows.call(10, 1, [HUGE, 0], json!({}));
    rows.call(11, 0, [0, HUGE], json!({}));
    for is_released in [false, true] {
        let mut rows = Rows(rows.0.clone());
        rows.0.instances()[0].station = Station {
            slots: Some(1),
            is_released,
            queue_limit: None,
        };
        let outcomes = simulate(&load(&rows.plan()));
        let mut served = outcomes.iter().filter(|outcome| outcome.state == State::Served);
        assert!(
            served.all(|outcome| outcome.response_ns() >= 0 && outcome.wait_ns >= 0),
            "{outcomes:?}"
        );
    }
}
