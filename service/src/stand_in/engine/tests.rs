//! Tests of the engine: small plans with known steps. `naive` is a second implementation for any plan.

mod cpu;
mod naive;

use std::collections::BTreeMap;

use standin::{Call, Callee, Ends, Kind, Wait, What, Work};

use super::*;

/// Start of every invocation here.
const START_NS: u64 = 1_000;

fn work(calls: Vec<Call<'static>>, answer: Wait) -> Work<'static> {
    Work {
        kind: Kind::Server,
        method: None,
        route: None,
        calls,
        answer,
        beside_cpu_ns: 0,
        bytes_out: 0,
        status: None,
        error: None,
        is_failed: false,
        fails_with: Vec::new(),
    }
}

fn after(after: &[u16], gap_ns: u64) -> Wait {
    Wait {
        after: after.to_vec(),
        gap_ns,
        ..Wait::default()
    }
}

fn call(wait: Wait, ends: Ends) -> Call<'static> {
    let callee = Callee {
        module: "m",
        instance: "m-1",
        delay_ns: 0,
        body_bytes: 0,
        work: b"",
    };
    Call {
        wait,
        is_after_answer: false,
        what: What::Request,
        net_ns: 0,
        answer_status: 200,
        retry_of: None,
        peer: None,
        method: None,
        path: None,
        bytes_out: 0,
        bytes_in: 0,
        status: None,
        error: None,
        is_failed: false,
        callees: match ends {
            Ends::Duration(_) => Vec::new(),
            Ends::Answer | Ends::Timeout(_) => vec![callee],
        },
        ends,
    }
}

/// An answer of a callee: this time after the call's start, and whether it is a failure.
#[derive(Debug, Clone, Copy)]
struct Reply {
    after_ns: u64,
    is_failed: bool,
}

const fn reply(after_ns: u64) -> Reply {
    Reply {
        after_ns,
        is_failed: false,
    }
}

const fn failure(after_ns: u64) -> Reply {
    Reply {
        after_ns,
        is_failed: true,
    }
}

/// The times of an execution, from its start.
#[derive(Debug, Default, PartialEq, Eq)]
struct Times {
    /// Start of each call that was sent.
    started: BTreeMap<usize, u64>,
    /// End of each call that was sent, and whether it failed.
    ended: BTreeMap<usize, (u64, bool)>,
    /// Requests that no call waits for: call, callee, time.
    sent: Vec<(usize, usize, u64)>,
    answered: Option<(u64, bool)>,
}

impl Times {
    fn last_ns(&self) -> u64 {
        let ended = self.ended.values().chain(&self.answered).map(|(at_ns, _)| *at_ns);
        let sent = self.sent.iter().map(|(.., at_ns)| *at_ns);
        ended.chain(sent).max().unwrap_or_default()
    }
}

/// Executes a plan in a time in which every step happens when it is due, and CPU time costs nothing.
fn execute(work: &Work<'static>, replies: &[Reply]) -> Times {
    let mut engine = Engine::new(work);
    let mut times = Times::default();
    let mut pending: Vec<(u64, usize, bool)> = Vec::new();
    let mut now_ns = START_NS;
    engine.start(now_ns);
    loop {
        pending.sort_unstable();
        while pending.first().is_some_and(|(at_ns, ..)| *at_ns <= now_ns) {
            let (at_ns, call, is_failed) = pending.remove(0);
            if engine.answered_by(call, at_ns, is_failed) {
                times.ended.insert(call, (at_ns - START_NS, is_failed));
            }
        }
        match engine.next(now_ns, u64::MAX) {
            Step::Start { call } => _ = times.started.insert(call, now_ns - START_NS),
            Step::Send {
                call,
                is_awaited: true,
                ..
            } => {
                let reply = replies[call];
                pending.push((now_ns + reply.after_ns, call, reply.is_failed));
            }
            Step::Send { call, callee, .. } => times.sent.push((call, callee, now_ns - START_NS)),
            Step::End { call, at_ns, end } => {
                let is_failed = end == Ending::Timeout || work.calls[call].is_failed;
                times.ended.insert(call, (at_ns - START_NS, is_failed));
            }
            Step::Answer { is_failed } => {
                assert!(times.answered.is_none(), "a second answer");
                times.answered = Some((now_ns - START_NS, is_failed));
                engine.answer_sent(now_ns, 0);
            }
            Step::Wait { until_ns, .. } => {
                let next_reply = pending.first().map(|(at_ns, ..)| *at_ns);
                now_ns = until_ns.into_iter().chain(next_reply).min().expect("an event");
            }
            Step::Burn { .. } => unreachable!("all CPU time is used"),
            Step::Done => {
                assert!(engine.is_done());
                assert_eq!(now_ns - START_NS, times.last_ns(), "something else was awaited");
                return times;
            }
        }
    }
}

#[test]
fn a_sequence_moves_with_its_callee_and_a_fan_out_waits_for_the_slowest() {
    let sequence = work(
        vec![
            call(after(&[], 10), Ends::Answer),
            call(after(&[0], 20), Ends::Answer),
        ],
        after(&[1], 30),
    );
    for slower in [0, 50] {
        let times = execute(&sequence, &[reply(100 + slower), reply(100)]);
        assert_eq!(times.started[&1], 130 + slower);
        assert_eq!(times.answered, Some((260 + slower, false)));
    }
    let fan_out = work(
        vec![
            call(after(&[], 10), Ends::Answer),
            call(after(&[], 20), Ends::Answer),
        ],
        after(&[0, 1], 5),
    );
    let times = execute(&fan_out, &[reply(300), reply(40)]);
    assert_eq!((times.started[&0], times.started[&1]), (10, 20));
    assert_eq!(times.answered, Some((315, false)));
}

#[test]
fn an_independent_branch_does_not_wait_for_the_other_one() {
    let branches = work(
        vec![
            call(after(&[], 0), Ends::Answer),
            call(after(&[], 0), Ends::Answer),
            call(after(&[0], 10), Ends::Answer),
            call(after(&[1], 10), Ends::Answer),
        ],
        after(&[2, 3], 0),
    );
    let times = execute(&branches, &[reply(1_000), reply(100), reply(100), reply(100)]);
    assert_eq!((times.started[&2], times.started[&3]), (1_010, 110));
    assert_eq!(times.answered, Some((1_110, false)));
}

#[test]
fn a_quorum_waits_for_the_second_of_three() {
    let answer = Wait {
        any_of: vec![0, 1, 2],
        need: 2,
        gap_ns: 7,
        ..Wait::default()
    };
    let three = (0..3).map(|_| call(after(&[], 0), Ends::Answer)).collect();
    let times = execute(&work(three, answer), &[reply(500), reply(100), reply(200)]);
    assert_eq!(times.answered, Some((207, false)));
    // The third one ends after the answer.
    assert_eq!(times.ended[&0], (500, false));
}

#[test]
fn a_retry_is_sent_only_if_the_first_attempt_failed() {
    let mut retry = call(after(&[0], 10), Ends::Answer);
    retry.retry_of = Some(0);
    let plan = work(vec![call(after(&[], 0), Ends::Answer), retry], after(&[1], 5));
    let failed = execute(&plan, &[failure(100), reply(50)]);
    assert_eq!(failed.started[&1], 110);
    assert_eq!(failed.answered, Some((165, false)));
    let good = execute(&plan, &[reply(100), reply(50)]);
    assert!(!good.started.contains_key(&1));
    assert_eq!(good.answered, Some((105, false)));
}

#[test]
fn a_caller_gives_up_at_its_timeout_unless_the_answer_is_earlier() {
    let plan = work(vec![call(after(&[], 0), Ends::Timeout(100))], after(&[0], 5));
    let slow = execute(&plan, &[reply(101)]);
    assert_eq!((slow.ended[&0], slow.answered), ((100, true), Some((105, false))));
    let fast = execute(&plan, &[reply(99)]);
    assert_eq!((fast.ended[&0], fast.answered), ((99, false), Some((104, false))));
}

/// Fails if a timeout that cannot come keeps the invocation alive.
#[test]
fn an_invocation_is_done_with_the_last_answer_not_with_a_timeout() {
    let plan = work(
        vec![call(after(&[], 0), Ends::Timeout(1_000_000))],
        after(&[0], 0),
    );
    let mut engine = Engine::new(&plan);
    engine.start(START_NS);
    assert_eq!(engine.next(START_NS, 0), Step::Start { call: 0 });
    assert!(matches!(engine.next(START_NS, 0), Step::Send { .. }));
    assert_eq!(engine.next_event_ns(), Some(START_NS + 1_000_000));
    assert!(engine.answered_by(0, START_NS + 9, false));
    assert_eq!(engine.next_event_ns(), None);
    let answer = engine.next(START_NS + 9, 0);
    assert_eq!(answer, Step::Answer { is_failed: false });
    engine.answer_sent(START_NS + 9, 0);
    assert!(engine.is_done());
}

/// This test fails if the network time counts from the answer, and if a timeout does not end it.
#[test]
fn an_answer_counts_when_it_has_crossed_the_network() {
    let with_network = |ends| Call {
        net_ns: 30,
        ..call(after(&[], 0), ends)
    };
    for (ends, expected) in [
        (Ends::Answer, (START_NS + 50, Ending::Answer)),
        (Ends::Timeout(40), (START_NS + 40, Ending::Timeout)),
    ] {
        let plan = work(vec![with_network(ends)], after(&[0], 0));
        let mut engine = Engine::new(&plan);
        engine.start(START_NS);
        assert_eq!(engine.next(START_NS, 0), Step::Start { call: 0 });
        assert!(matches!(engine.next(START_NS, 0), Step::Send { .. }));
        // A response of 20, whose answer is here after 25: 5 of 30 are over.
        assert!(engine.waits_for_network(0, 20, START_NS + 25, false));
        assert!(matches!(engine.next(START_NS + 39, 0), Step::Wait { .. }));
        let (at_ns, end) = expected;
        let step = engine.next(START_NS + 50, 0);
        assert_eq!(step, Step::End { call: 0, at_ns, end });
    }
    let mut engine = Engine::new(&work(vec![with_network(Ends::Answer)], after(&[0], 0)));
    engine.start(START_NS);
    engine.next(START_NS, 0);
    // All of it is over, and the answer ends the call.
    assert!(!engine.waits_for_network(0, 20, START_NS + 50, false));
    assert!(engine.answered_by(0, START_NS + 50, false));
}

#[test]
fn an_invocation_fails_as_recorded_or_only_with_its_calls() {
    let mut plan = work(vec![call(after(&[], 0), Ends::Answer)], after(&[0], 0));
    plan.is_failed = true;
    assert_eq!(execute(&plan, &[reply(9)]).answered, Some((9, true)));
    plan.fails_with = vec![0];
    assert_eq!(execute(&plan, &[reply(9)]).answered, Some((9, false)));
    assert_eq!(execute(&plan, &[failure(9)]).answered, Some((9, true)));
}

#[test]
fn work_after_the_answer_counts_from_the_answer() {
    let mut late = call(after(&[0], 10), Ends::Answer);
    late.is_after_answer = true;
    let plan = work(vec![call(after(&[], 0), Ends::Answer), late], after(&[], 100));
    // The later of the answer and the end of the call for which it waits.
    assert_eq!(execute(&plan, &[reply(50), reply(1)]).started[&1], 110);
    let slow = execute(&plan, &[reply(500), reply(1)]);
    assert_eq!(slow.started[&1], 510);
    assert_eq!(slow.answered, Some((100, false)));
}

#[test]
fn a_message_reaches_its_consumers_after_its_end() {
    let callee = |delay_ns| Callee {
        module: "m",
        instance: "m-1",
        delay_ns,
        body_bytes: 0,
        work: b"",
    };
    let mut message = call(after(&[], 10), Ends::Duration(30));
    message.what = What::Message;
    message.callees = vec![callee(5), callee(70)];
    let mut request = call(after(&[], 10), Ends::Answer);
    request.callees = vec![callee(0), callee(40)];
    let times = execute(
        &work(vec![message, request], after(&[0], 0)),
        &[reply(0), reply(9)],
    );
    assert_eq!(times.ended[&0], (40, false));
    assert_eq!(times.answered, Some((40, false)));
    assert_eq!(times.sent, [(0, 0, 45), (1, 1, 50), (0, 1, 110)]);
}
