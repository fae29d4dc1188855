//! The calls for which each call waits: in programs with known branches, and in rows made by hand.
//!
//! The program is the truth: if a callee is slower, the plan must give the same responses as the program.

use plan::plan::{Plan, Reason, Wait};
use serde_json::json;

use crate::programs::{Program, Step, execute, simulated};
use crate::rows::{MS, Rows, id, trees};
use Step::{Answer, Call, Own, Quorum, Retried, Spans, Together};

/// Number of requests of each program. They are so many that an order which is due to chance is contradicted at least once.
const REQUESTS: u64 = 300;

/// Compares the responses of the plan with those of the program: as recorded, and with each callee slowed.
fn follows(program: &[Step], modules: &[&'static str]) -> Plan {
    let program = Program(program.to_vec());
    let plan = program.plan(REQUESTS);
    assert_eq!(plan.counts.deviating(), 0, "{:?}", plan.counts);
    assert_eq!(execute(&plan, None), program.responses(REQUESTS, None));
    assert_eq!(simulated(&plan, None), program.responses(REQUESTS, None));
    for module in modules {
        let truth = program.responses(REQUESTS, Some(module));
        assert_eq!(execute(&plan, Some(module)), truth, "{module} is slower");
        assert_eq!(simulated(&plan, Some(module)), truth, "{module} is slower");
        let moved = truth.iter().zip(program.responses(REQUESTS, None));
        let moved = moved.filter(|(slow, fast)| *slow > fast).count();
        assert!(
            moved > 0 || program.0.iter().any(|step| matches!(step, Answer)),
            "{module} matters"
        );
    }
    plan
}

/// For each call of the first root and for its answer: the calls for which it waits.
fn after(plan: &Plan) -> Vec<Vec<u32>> {
    let tree = &trees(plan)[0];
    let root = &tree.invocations[0];
    let waits = root.calls.iter().map(|call| &call.wait).chain([&root.answer]);
    waits.map(|wait| wait.after.clone()).collect()
}

#[test]
fn calls_in_sequence_wait_for_each_other() {
    let plan = follows(&[Own(2), Call("a"), Own(3), Call("b"), Own(1)], &["a", "b"]);
    assert_eq!(after(&plan), [vec![], vec![0], vec![1]]);
}

#[test]
fn calls_of_a_fan_out_wait_for_none_and_the_answer_for_all() {
    let calls = ["a", "b", "c"].map(|module| vec![Call(module)]).to_vec();
    let plan = follows(&[Own(2), Together(calls), Own(3)], &["a", "b", "c"]);
    assert!(after(&plan)[..3].iter().all(Vec::is_empty));
}

#[test]
fn independent_branches_do_not_wait_for_each_other() {
    let branches = || {
        vec![
            vec![Call("a"), Own(1), Call("b")],
            vec![Call("c"), Own(2), Call("d")],
        ]
    };
    follows(&[Own(1), Together(branches()), Own(1)], &["a", "b", "c", "d"]);
    let plan = follows(
        &[Own(1), Call("x"), Spans(branches()), Own(1), Call("y")],
        &["a", "b", "c", "d", "x", "y"],
    );
    assert_eq!(plan.counts.quorums, 0);
}

#[test]
fn branches_that_call_the_same_are_kept_apart_by_their_spans() {
    let branch = || vec![Call("a"), Own(1), Call("a")];
    let program = Program(vec![Own(1), Spans(vec![branch(), branch()]), Own(1)]);
    let plan = program.plan(REQUESTS);
    let truth = program.responses(REQUESTS, Some("a"));
    assert_eq!(execute(&plan, Some("a")), truth);
    assert_eq!(simulated(&plan, Some("a")), truth);
}

#[test]
fn a_quorum_waits_for_two_of_three_whichever_end_first() {
    let program = [Own(1), Quorum(2, vec!["a", "b", "c"]), Own(2), Call("d"), Answer];
    let program = Program(program.to_vec());
    let plan = program.plan(REQUESTS);
    assert!(plan.counts.quorums >= REQUESTS, "{:?}", plan.counts);
    let root = &trees(&plan)[0].invocations[0];
    let fourth = root
        .calls
        .iter()
        .find(|call| call.wait.need > 0)
        .map(|call| &call.wait);
    let Some(Wait { any_of, need, .. }) = fourth else {
        panic!("no quorum");
    };
    assert_eq!((any_of.as_slice(), *need), ([0, 1, 2].as_slice(), 2));
    for module in ["a", "b", "c", "d"] {
        let truth = program.responses(REQUESTS, Some(module));
        assert_eq!(execute(&plan, Some(module)), truth, "{module} is slower");
        assert_eq!(simulated(&plan, Some(module)), truth, "{module} is slower");
    }
}

#[test]
fn work_after_the_answer_stays_after_it_and_delays_nobody() {
    let plan = follows(
        &[
            Own(1),
            Call("a"),
            Own(1),
            Answer,
            Own(2),
            Call("b"),
            Own(1),
            Call("c"),
        ],
        &["a", "b", "c"],
    );
    let root = &trees(&plan)[0].invocations[0];
    let late: Vec<bool> = root.calls.iter().map(|call| call.is_after_answer).collect();
    assert_eq!(late, [false, true, true]);
    assert_eq!(
        root.calls
            .iter()
            .map(|call| call.wait.gap_ns / MS)
            .collect::<Vec<_>>(),
        [1, 2, 1]
    );
    assert_eq!(root.answer.after, [0]);
}

#[test]
fn a_retry_waits_for_the_attempt_that_failed() {
    let plan = follows(&[Own(1), Retried("a"), Own(1), Call("b")], &["a", "b"]);
    let mut retries = 0;
    for tree in trees(&plan) {
        for call in &tree.invocations[0].calls {
            let Some(attempt) = call.retry_of else { continue };
            assert!(tree.invocations[0].calls[attempt as usize].is_failed);
            assert!(call.wait.after.contains(&attempt));
            retries += 1;
        }
    }
    assert!(retries > 10);
    assert_eq!(
        (plan.counts.retries, plan.counts.retries_without_attempt),
        (retries, 0)
    );
}

/// An invocation with two calls. If `spans` is not 0, internal spans make the calls.
fn two_calls(rows: &mut Rows, number: u64, second: [i64; 2], spans: u64) {
    let (root, at) = (1 + 10 * number, number as i64 * 1000 * MS);
    rows.invocation(root, [at, at, at + 100 * MS], json!({}));
    rows.calls_later.push((
        root + 1,
        root,
        [at, at + 10 * MS],
        json!({"peer": "a", "parent_span_id": id(root + spans)}),
    ));
    let second = second.map(|time| at + time);
    let span = if spans > 0 { root + spans + 1 } else { root };
    rows.calls_later.push((
        root + 2,
        root,
        second,
        json!({"peer": "b", "parent_span_id": id(span)}),
    ));
}

#[test]
fn one_contradiction_is_enough_and_one_invocation_has_none() {
    let [behind, over] = [[20 * MS, 30 * MS], [5 * MS, 30 * MS]];
    for (times, expected) in [(vec![behind], vec![0]), (vec![behind, behind, over], vec![])] {
        let mut rows = Rows::default();
        for (number, second) in times.iter().enumerate() {
            two_calls(&mut rows, number as u64, *second, 0);
        }
        assert_eq!(after(&rows.plan())[1], expected);
    }
}

#[test]
fn internal_spans_need_ten_observations_of_their_order() {
    for (requests, expected) in [(9, vec![]), (10, vec![0])] {
        let mut rows = Rows::default();
        for number in 0..requests {
            two_calls(&mut rows, number, [20 * MS, 30 * MS], 5);
        }
        assert_eq!(after(&rows.plan())[1], expected);
    }
}

#[test]
fn a_call_within_50_us_before_an_end_waits_for_it() {
    let us = 1_000;
    for (early, expected, deviations) in [(40 * us, vec![0], 1), (60 * us, vec![], 0)] {
        let mut rows = Rows::default();
        two_calls(&mut rows, 0, [10 * MS - early, 30 * MS], 0);
        let plan = rows.plan();
        assert_eq!(after(&plan)[1], expected);
        let listed = &plan.counts.deviations[Reason::NegativeGap as usize];
        assert_eq!(listed.count, deviations);
        if deviations > 0 {
            assert_eq!(listed.largest_ns, early);
        }
    }
}
