//! Compares the simulator with a naive one, and with the recursions of Lindley and of Kiefer and Wolfowitz.

use plan::plan::Ends;
use plan::stations::{Fails, Failures, State, at_arrivals, simulate, simulate_with};
use plan::work::Station;
use proptest::prelude::*;

use crate::build::{Branch, Forest, Random, Tree, Waits, add_root, empty, random_load, station};
use crate::naive;

fn any_station() -> impl Strategy<Value = Station> {
    let slots = prop_oneof![4 => Just(Some(1)), 4 => Just(Some(2)), 2 => Just(Some(8)), 1 => Just(None)];
    let limit = prop_oneof![2 => Just(None), 1 => (0..4_u32).prop_map(Some)];
    (slots, any::<bool>(), limit).prop_map(|(slots, is_released, queue_limit)| Station {
        slots,
        is_released,
        queue_limit,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn outcomes_are_those_of_a_naive_simulator(
        seed: u64,
        stations in prop::collection::vec(any_station(), 4),
        roots in 1..10_u64,
    ) {
        let load = random_load(&mut Forest::new(seed), &stations, roots);
        for failures in [Failures::Simulated, Failures::AsRecorded] {
            prop_assert_eq!(simulate_with(&load, failures), naive::simulate(&load, failures).outcomes);
        }
    }

    #[test]
    fn outcomes_of_plain_calls_are_those_of_a_naive_simulator(
        seed: u64,
        stations in prop::collection::vec(any_station(), 4),
        roots in 1..14_u64,
    ) {
        let mut forest = Forest { has_all: false, ..Forest::new(seed) };
        let load = random_load(&mut forest, &stations, roots);
        prop_assert_eq!(simulate(&load), naive::simulate(&load, Failures::Simulated).outcomes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// If the copies of a root are far enough from each other, they do not wait for each other. So each one repeats what the
    /// root did alone.
    #[test]
    fn work_at_other_arrivals_is_the_same_work(
        seed: u64,
        stations in prop::collection::vec(any_station(), 4),
        roots in 1..10_u64,
    ) {
        let load = random_load(&mut Forest::new(seed), &stations, roots);
        let own: Vec<(u32, i64)> = (0..).zip(load.arrivals.iter().map(|arrival| arrival.at_ns)).collect();
        let copy = at_arrivals(&load, &own);
        let mut one = simulate(&load);
        let mut other = simulate(&copy);
        for outcomes in [&mut one, &mut other] {
            outcomes.sort_by_key(|outcome| (outcome.enqueue_ns, outcome.start_ns, outcome.end_ns, outcome.slot_wait_ns));
        }
        prop_assert_eq!(&one, &other);
        let last = (own.len() - 1) as u32;
        let apart: Vec<(u32, i64)> = (1..4).map(|copy| (last, copy << 50)).collect();
        let copies = at_arrivals(&load, &apart);
        let outcomes = simulate(&copies);
        let size = outcomes.len() / 3;
        for (place, outcome) in outcomes.iter().enumerate().filter(|(_, outcome)| outcome.state != State::Unfinished) {
            let first = &outcomes[place % size];
            prop_assert_eq!(outcome.response_ns(), first.response_ns());
            prop_assert_eq!(outcome.end_ns - first.end_ns, ((place / size) as i64) << 50);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn one_slot_waits_as_lindley_says(seed: u64, count in 2..300_usize) {
        let (gaps, services, waits) = flat(seed, count, 1);
        let mut expected = 0_i64;
        for index in 0..count {
            if index > 0 {
                expected = (expected + services[index - 1] - gaps[index]).max(0);
            }
            prop_assert_eq!(waits[index], expected);
        }
    }

    #[test]
    fn slots_wait_as_kiefer_and_wolfowitz_say(seed: u64, count in 2..300_usize, slots in prop_oneof![Just(2_u32), Just(8)]) {
        let (gaps, services, waits) = flat(seed, count, slots);
        // Remaining work of each slot when a request arrives, sorted.
        let mut left = vec![0_i64; slots as usize];
        for index in 0..count {
            left.iter_mut().for_each(|left| *left = (*left - gaps[index]).max(0));
            left.sort_unstable();
            prop_assert_eq!(waits[index], left[0]);
            left[0] += services[index];
        }
    }

    #[test]
    fn the_order_of_rows_changes_no_wait_if_no_times_are_equal(seed: u64, count in 2..100_usize) {
        let mut random = Random(seed);
        let requests: Vec<(i64, i64)> = (0..count)
            .scan(0, |at, _| {
                *at += 1 + random.exponential(10.0);
                Some((*at, random.exponential(9.0)))
            })
            .collect();
        let mut load = empty(&[station(1, false, None)]);
        for (at, own_ns) in requests.iter().rev() {
            add_root(&mut load, *at, &Tree::leaf(*own_ns));
        }
        load.arrivals.reverse();
        let mut backwards: Vec<i64> = simulate(&load).iter().map(|outcome| outcome.wait_ns).collect();
        backwards.reverse();
        let mut load = empty(&[station(1, false, None)]);
        for (at, own_ns) in &requests {
            add_root(&mut load, *at, &Tree::leaf(*own_ns));
        }
        let forwards: Vec<i64> = simulate(&load).iter().map(|outcome| outcome.wait_ns).collect();
        prop_assert_eq!(backwards, forwards);
    }
}

/// Intervals between arrivals, service times (with set-up times) and simulated waiting times of requests without calls.
fn flat(seed: u64, count: usize, slots: u32) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let mut random = Random(seed);
    let mut load = empty(&[station(slots, false, None)]);
    let (mut gaps, mut services, mut at) = (Vec::new(), Vec::new(), 0);
    for _ in 0..count {
        let gap = random.exponential(100.0 / f64::from(slots));
        let setup_ns = random.below(5) as i64;
        let own_ns = random.exponential(85.0);
        let tree = Tree {
            setup_ns,
            ..Tree::leaf(own_ns)
        };
        at += gap;
        gaps.push(gap);
        services.push(setup_ns + own_ns);
        add_root(&mut load, at, &tree);
    }
    let outcomes = simulate(&load);
    assert!(outcomes.iter().all(|outcome| outcome.state == State::Served));
    (
        gaps,
        services,
        outcomes.iter().map(|outcome| outcome.wait_ns).collect(),
    )
}

#[test]
fn a_full_queue_refuses_and_its_caller_gets_the_answer() {
    let mut load = empty(&[station(1, false, Some(1))]);
    for at in [0, 1, 2, 12] {
        add_root(&mut load, at, &Tree::leaf(10));
    }
    let states: Vec<(State, i64)> = simulate(&load)
        .iter()
        .map(|outcome| (outcome.state, outcome.end_ns))
        .collect();
    assert_eq!(
        states,
        [
            (State::Served, 10),
            (State::Served, 20),
            (State::Refused, 2),
            (State::Served, 30)
        ]
    );
}

#[test]
fn held_slots_that_wait_for_one_another_end_unfinished() {
    let mut outer = Tree::leaf(0);
    outer.calls.push(Branch::to(Tree::leaf(1)));
    outer.answer.after.push(0);
    for (is_released, state) in [(false, State::Unfinished), (true, State::Served)] {
        let mut load = empty(&[station(1, is_released, None)]);
        add_root(&mut load, 0, &outer);
        assert!(simulate(&load).iter().all(|outcome| outcome.state == state));
    }
}

#[test]
fn a_set_up_time_is_not_spent_again_behind_a_queue() {
    let mut load = empty(&[station(1, false, None)]);
    // In the recording, the slots of both requests slept. In the simulation the second request waits, so its slot does not
    // sleep.
    for at in [0, 5] {
        let tree = Tree {
            setup_ns: 3,
            has_waited: false,
            ..Tree::leaf(10)
        };
        add_root(&mut load, at, &tree);
    }
    let outcomes = simulate(&load);
    assert_eq!((outcomes[0].start_ns, outcomes[0].end_ns), (3, 13));
    assert_eq!(
        (outcomes[1].wait_ns, outcomes[1].start_ns, outcomes[1].end_ns),
        (8, 13, 23)
    );
}

/// A wait for these calls, followed by `gap_ns` of work.
fn after(calls: &[usize], gap_ns: i64) -> Waits {
    Waits {
        after: calls.to_vec(),
        gap_ns,
        ..Waits::default()
    }
}

/// The outcomes of one root with these calls and this answer, which arrives at time 0. Stations have unlimited slots.
fn outcomes_of(calls: Vec<Branch>, answer: Waits) -> Vec<(State, i64)> {
    let mut load = empty(&[Station::default(); 2]);
    let root = Tree {
        calls,
        answer,
        ..Tree::leaf(0)
    };
    add_root(&mut load, 0, &root);
    let outcomes = simulate(&load);
    outcomes
        .iter()
        .map(|outcome| (outcome.state, outcome.end_ns))
        .collect()
}

fn callee(own_ns: i64, fails: Fails) -> Tree {
    Tree {
        instance: 1,
        fails,
        ..Tree::leaf(own_ns)
    }
}

#[test]
fn a_retry_is_sent_only_after_a_failed_attempt() {
    for (fails, retry, end_ns) in [
        (Fails::Never, (State::Unfinished, 0), 11),
        (Fails::Always, (State::Served, 17), 18),
    ] {
        let attempt = Branch::to(callee(10, fails));
        let retry_of_it = Branch {
            retry_of: Some(0),
            waits: after(&[0], 2),
            ..Branch::to(callee(5, Fails::Never))
        };
        let found = outcomes_of(vec![attempt, retry_of_it], after(&[1], 1));
        assert_eq!(found, [(State::Served, end_ns), (State::Served, 10), retry]);
    }
}

#[test]
fn a_caller_gives_up_after_its_timeout_and_the_callee_runs_on() {
    for (own_ns, end_ns) in [(10, 8), (3, 4), (7, 8)] {
        let call = Branch {
            ends: Ends::Timeout(7),
            ..Branch::to(callee(own_ns, Fails::Never))
        };
        let found = outcomes_of(vec![call], after(&[0], 1));
        assert_eq!(found, [(State::Served, end_ns), (State::Served, own_ns)]);
    }
}

#[test]
fn a_failure_of_a_call_fails_its_visit_only_where_the_plan_says_so() {
    for (is_cause, end_ns) in [(true, 16), (false, 11)] {
        let inner = Branch {
            is_failed: true,
            fails_visit: is_cause,
            ..Branch::lasting(5)
        };
        let middle = Tree {
            calls: vec![inner],
            answer: after(&[0], 5),
            ..callee(0, Fails::WithCalls)
        };
        let retry = Branch {
            retry_of: Some(0),
            waits: after(&[0], 0),
            ..Branch::lasting(5)
        };
        let found = outcomes_of(vec![Branch::to(middle), retry], after(&[1], 1));
        assert_eq!(found[0], (State::Served, end_ns));
    }
}

#[test]
fn two_of_three_calls_are_enough_for_a_quorum() {
    let calls = [3, 5, 90].map(Branch::lasting).to_vec();
    let answer = Waits {
        any_of: vec![0, 1, 2],
        need: 2,
        gap_ns: 1,
        ..Waits::default()
    };
    assert_eq!(outcomes_of(calls, answer), [(State::Served, 6)]);
}

#[test]
fn messages_and_work_after_the_answer_delay_nobody() {
    let message = Branch {
        is_message: true,
        callees: vec![Tree {
            delay_ns: 4,
            ..callee(10, Fails::Never)
        }],
        ..Branch::lasting(2)
    };
    let late = Branch {
        is_after_answer: true,
        waits: after(&[], 3),
        ..Branch::to(callee(20, Fails::Never))
    };
    let found = outcomes_of(vec![message, late], after(&[0], 1));
    assert_eq!(found.iter().map(|found| found.1).collect::<Vec<_>>(), [3, 16, 26]);
}

#[test]
fn a_slot_is_given_up_only_while_there_is_no_work() {
    // Two branches. The first one has a call of 10, then own work of 4. The second one has a call of 2, then own work of 20.
    let calls = vec![Branch::lasting(10), Branch::lasting(2)];
    let with_work = Branch {
        waits: after(&[1], 20),
        ..Branch::lasting(1)
    };
    let tree = Tree {
        calls: [calls, vec![with_work]].concat(),
        answer: after(&[0, 2], 4),
        ..Tree::leaf(0)
    };
    let mut load = empty(&[station(1, true, None)]);
    add_root(&mut load, 0, &tree);
    add_root(&mut load, 1, &Tree::leaf(5));
    let outcomes = simulate(&load);
    // The other request has the slot from 1 to 6. The work after the second call ends at 26, and the third call at 27.
    assert_eq!((outcomes[1].wait_ns, outcomes[1].end_ns), (0, 6));
    assert_eq!((outcomes[0].slot_wait_ns, outcomes[0].end_ns), (4, 31));
}

#[test]
fn an_answer_ahead_of_the_end_is_never_before_the_work_for_it() {
    for (ahead_ns, end_ns) in [(4, 7), (30, 1)] {
        let call = Branch {
            ahead_ns,
            ..Branch::to(callee(10, Fails::Never))
        };
        let found = outcomes_of(vec![call], after(&[0], 1));
        assert_eq!(found[0].1, end_ns);
    }
}
