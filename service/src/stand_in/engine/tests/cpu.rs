//! Tests of CPU time, waits for a CPU and for a slot.

use standin::{Ends, Wait};

use super::*;

fn with_cpu(earlier: &[u16], gap_ns: u64, cpu_ns: u64) -> Wait {
    Wait {
        cpu_ns,
        ..after(earlier, gap_ns)
    }
}

#[test]
fn cpu_time_delays_a_gap_and_is_used_for_the_earliest_one_first() {
    let with_cpu = |gap_ns, cpu_ns| with_cpu(&[], gap_ns, cpu_ns);
    let plan = work(
        vec![
            call(with_cpu(100, 60), Ends::Duration(10)),
            call(with_cpu(50, 20), Ends::Duration(10)),
        ],
        after(&[0, 1], 0),
    );
    let mut engine = Engine::new(&plan);
    engine.start(START_NS);
    let burn = |step: Step| match step {
        Step::Burn { cpu_ns, .. } => cpu_ns,
        other => panic!("{other:?}"),
    };
    assert_eq!(burn(engine.next(START_NS, 0)), 20);
    // Its CPU time is used. The rest of its gap passes while the other one uses its own.
    assert_eq!(
        engine.next(START_NS + 20, 20),
        Step::Burn {
            cpu_ns: 80,
            until_ns: START_NS + 50,
            is_last: false
        }
    );
    assert_eq!(engine.next(START_NS + 50, 49), Step::Start { call: 1 });
    assert!(matches!(
        engine.next(START_NS + 100, 79),
        Step::End { call: 1, .. }
    ));
    // The CPU was busy elsewhere: the gap is over, but not its CPU time.
    assert_eq!(burn(engine.next(START_NS + 101, 79)), 80);
    assert_eq!(engine.next(START_NS + 102, 80), Step::Start { call: 0 });
    assert_eq!(engine.planned_cpu_ns(), 80);
}

#[test]
fn cpu_time_beside_calls_is_used_while_they_run_and_delays_nothing() {
    let mut plan = work(
        vec![call(after(&[], 0), Ends::Answer)],
        Wait {
            after: vec![0],
            gap_ns: 40,
            cpu_ns: 30,
            ..Wait::default()
        },
    );
    plan.beside_cpu_ns = 100;
    let mut engine = Engine::new(&plan);
    engine.start(START_NS);
    assert_eq!(engine.next(START_NS, 0), Step::Start { call: 0 });
    assert!(matches!(engine.next(START_NS, 0), Step::Send { .. }));
    assert_eq!(
        engine.next(START_NS, 0),
        Step::Wait {
            until_ns: None,
            spare_cpu_ns: 100
        }
    );
    assert!(engine.answered_by(0, START_NS + 70, false));
    // 70 were used beside the call. The gap needs 30 more, and 30 of those beside the call are left.
    assert!(matches!(
        engine.next(START_NS + 70, 70),
        Step::Burn {
            cpu_ns: 100,
            is_last: true,
            ..
        }
    ));
    assert_eq!(engine.unused_cpu_ns(), 30);
}

/// Fails if the CPU time of executing a call comes on top of the plan's because little of the plan's comes after the call.
#[test]
fn cpu_time_that_later_calls_will_cost_is_left_to_them() {
    let with_cpu = |earlier: &[u16], cpu_ns| with_cpu(earlier, 0, cpu_ns);
    let plan = work(vec![call(with_cpu(&[], 100), Ends::Answer)], with_cpu(&[0], 10));
    let mut engine = Engine::new(&plan);
    engine.expect_cost(0, 50);
    engine.start(START_NS);
    // The call costs 50, of which the answer's gap has 10.
    assert!(matches!(engine.next(START_NS, 0), Step::Burn { cpu_ns: 60, .. }));
    assert_eq!(engine.next(START_NS, 60), Step::Start { call: 0 });
    engine.next(START_NS, 60);
    engine.answered_by(0, START_NS, false);
    // It cost less: the rest is used now.
    assert!(matches!(
        engine.next(START_NS, 90),
        Step::Burn { cpu_ns: 110, .. }
    ));
}

/// Fails if the time for ending a request comes on top of the plan's.
#[test]
fn the_answer_leaves_early_by_what_ending_the_request_takes() {
    let mut engine = Engine::new(&work(Vec::new(), after(&[], 100)));
    engine.expect_finish(30);
    engine.start(START_NS);
    assert!(matches!(
        engine.next(START_NS + 69, 0),
        Step::Wait {
            until_ns: Some(until_ns),
            ..
        } if until_ns == START_NS + 70
    ));
    assert_eq!(engine.next(START_NS + 70, 0), Step::Answer { is_failed: false });
    assert_eq!(engine.answer_due_ns(), Some(START_NS + 70));
}

#[test]
fn a_wait_for_a_slot_delays_the_gaps_that_began_meanwhile() {
    let plan = work(vec![call(after(&[], 0), Ends::Answer)], after(&[0], 40));
    let mut engine = Engine::new(&plan);
    engine.start(START_NS);
    engine.next(START_NS, 0);
    engine.next(START_NS, 0);
    assert!(engine.can_wait_without_slot());
    engine.answered_by(0, START_NS + 10, false);
    assert!(!engine.can_wait_without_slot());
    engine.has_slot(START_NS + 510);
    assert_eq!(
        engine.next(START_NS + 515, 0),
        Step::Wait {
            until_ns: Some(START_NS + 550),
            spare_cpu_ns: 0
        }
    );
}

/// Fails if a gap passes while its invocation waits in the queue.
#[test]
fn a_gap_that_begins_without_a_slot_begins_with_the_slot() {
    let plan = work(
        vec![
            call(after(&[], 0), Ends::Answer),
            call(after(&[], 0), Ends::Duration(100)),
            call(after(&[1], 40), Ends::Duration(5)),
        ],
        after(&[0, 2], 40),
    );
    let mut engine = Engine::new(&plan);
    engine.start(START_NS);
    while !matches!(engine.next(START_NS, 0), Step::Wait { .. }) {}
    assert!(engine.answered_by(0, START_NS + 10, false));
    // The second call ends at 100, while the invocation is queued; its slot comes at 500.
    engine.has_slot(START_NS + 500);
    assert!(matches!(
        engine.next(START_NS + 500, 0),
        Step::End { call: 1, .. }
    ));
    let waits = engine.next(START_NS + 500, 0);
    assert!(
        matches!(waits, Step::Wait { until_ns: Some(until_ns), .. } if until_ns == START_NS + 540),
        "{waits:?}"
    );
}

#[test]
fn requests_at_known_times_can_be_sent_by_somebody_else() {
    let callee = |delay_ns| Callee {
        module: "m",
        instance: "m-1",
        delay_ns,
        body_bytes: 0,
        work: b"",
    };
    let mut message = call(after(&[], 0), Ends::Duration(30));
    message.what = What::Message;
    message.callees = vec![callee(5), callee(70)];
    let mut request = call(after(&[], 0), Ends::Answer);
    request.callees = vec![callee(0), callee(40)];
    let mut engine = Engine::new(&work(vec![message, request], after(&[0, 1], 0)));
    engine.start(START_NS);
    while !matches!(engine.next(START_NS, 0), Step::Wait { .. }) {}
    let mut sends = engine.take_sends();
    sends.sort_unstable();
    let due = [(35, 0, 0), (40, 1, 1), (100, 0, 1)];
    assert_eq!(
        sends,
        due.map(|(at_ns, call, callee)| (START_NS + at_ns, call, callee))
    );
    // The message ends as before, and nothing is sent twice.
    let ended = engine.next(START_NS + 200, 0);
    assert!(matches!(ended, Step::End { call: 0, .. }));
    assert!(matches!(
        engine.next(START_NS + 200, 0),
        Step::Wait { until_ns: None, .. }
    ));
}

/// Fails if a wait for a CPU disappears in the rest of a gap, or delays a gap that needs no CPU.
#[test]
fn a_wait_for_a_cpu_prolongs_the_gaps_that_need_one() {
    let plan = work(
        vec![
            call(with_cpu(&[], 100, 20), Ends::Duration(10)),
            call(after(&[], 100), Ends::Duration(1_000)),
        ],
        after(&[0, 1], 0),
    );
    let mut engine = Engine::new(&plan);
    engine.start(START_NS);
    assert!(matches!(engine.next(START_NS, 0), Step::Burn { .. }));
    engine.waited_for_cpu(30, START_NS + 50);
    assert_eq!(engine.next(START_NS + 100, 20), Step::Start { call: 1 });
    assert!(matches!(
        engine.next(START_NS + 129, 20),
        Step::Wait { until_ns: Some(until_ns), .. } if until_ns == START_NS + 130
    ));
    assert_eq!(engine.next(START_NS + 130, 20), Step::Start { call: 0 });
}

#[test]
fn a_wait_for_a_cpu_before_a_gap_does_not_prolong_it() {
    let plan = work(Vec::new(), with_cpu(&[], 100, 20));
    let mut engine = Engine::new(&plan);
    engine.start(START_NS);
    assert_eq!(engine.slack_ns(), 80);
    engine.waited_for_cpu(1_000, START_NS + 30);
    engine.next(START_NS + 50, 20);
    let answer = engine.next(START_NS + 130, 20);
    assert_eq!(answer, Step::Answer { is_failed: false });
}

#[test]
fn cpu_time_of_a_gap_that_the_answer_cuts_off_is_used_in_part() {
    let plan = work(
        vec![call(with_cpu(&[], 100, 80), Ends::Duration(10))],
        after(&[], 50),
    );
    let mut engine = Engine::new(&plan);
    engine.start(START_NS);
    assert!(matches!(engine.next(START_NS, 0), Step::Burn { cpu_ns: 80, .. }));
    let answer = engine.next(START_NS + 50, 30);
    assert!(matches!(answer, Step::Answer { .. }) && engine.is_burning());
    engine.answer_sent(START_NS + 50, 30);
    assert!(!engine.is_burning());
    assert_eq!(engine.unused_cpu_ns(), 50);
}
