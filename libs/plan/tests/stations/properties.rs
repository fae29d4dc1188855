//! The simulator against a naive one, and against the recursions of Lindley, and of Kiefer and Wolfowitz.

use plan::stations::{State, simulate};
use proptest::prelude::*;

use crate::build::{Forest, Random, Tree, add_root, empty, random_works, station};
use crate::naive;

/// Slots, policy and queue limit of a station.
fn any_station() -> impl Strategy<Value = (u32, bool, Option<u32>)> {
    let slots = prop_oneof![Just(1), Just(2), Just(8)];
    let limit = prop_oneof![2 => Just(None), 1 => (0..4_u32).prop_map(Some)];
    (slots, any::<bool>(), limit)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn outcomes_are_those_of_a_naive_simulator(
        seed: u64,
        stations in prop::collection::vec(any_station(), 4),
        roots in 1..14_u64,
    ) {
        let stations: Vec<_> = stations.iter().map(|(slots, released, limit)| station(*slots, *released, *limit)).collect();
        let works = random_works(&mut Forest::new(seed), &stations, roots);
        prop_assert_eq!(simulate(&works), naive::simulate(&works).outcomes);
    }

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
        // Work that each slot has left when a request arrives, least first.
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
        let mut works = empty(&[station(1, false, None)]);
        for (at, tail_ns) in requests.iter().rev() {
            add_root(&mut works, *at, &Tree { tail_ns: *tail_ns, ..Tree::default() });
        }
        works.arrivals.reverse();
        let mut backwards: Vec<i64> = simulate(&works).iter().map(|outcome| outcome.wait_ns).collect();
        backwards.reverse();
        let mut works = empty(&[station(1, false, None)]);
        for (at, tail_ns) in &requests {
            add_root(&mut works, *at, &Tree { tail_ns: *tail_ns, ..Tree::default() });
        }
        let forwards: Vec<i64> = simulate(&works).iter().map(|outcome| outcome.wait_ns).collect();
        prop_assert_eq!(backwards, forwards);
    }
}

/// Gaps before, services (with set-up times) and simulated waits of requests without calls.
fn flat(seed: u64, count: usize, slots: u32) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let mut random = Random(seed);
    let mut works = empty(&[station(slots, false, None)]);
    let (mut gaps, mut services, mut at) = (Vec::new(), Vec::new(), 0);
    for _ in 0..count {
        let gap = random.exponential(100.0 / f64::from(slots));
        let tree = Tree {
            setup_ns: random.below(5) as i64,
            tail_ns: random.exponential(85.0),
            ..Tree::default()
        };
        at += gap;
        gaps.push(gap);
        services.push(tree.setup_ns + tree.tail_ns);
        add_root(&mut works, at, &tree);
    }
    let outcomes = simulate(&works);
    assert!(outcomes.iter().all(|outcome| outcome.state == State::Served));
    (
        gaps,
        services,
        outcomes.iter().map(|outcome| outcome.wait_ns).collect(),
    )
}

#[test]
fn a_full_queue_refuses_and_its_caller_gets_the_answer() {
    let mut works = empty(&[station(1, false, Some(1))]);
    for at in [0, 1, 2, 12] {
        add_root(
            &mut works,
            at,
            &Tree {
                tail_ns: 10,
                ..Tree::default()
            },
        );
    }
    let states: Vec<(State, i64)> = simulate(&works)
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
    use crate::build::Branch;
    let inner = Tree {
        tail_ns: 1,
        ..Tree::default()
    };
    let call = Branch {
        gap_ns: 1,
        waits: Vec::new(),
        out_ns: 1,
        back_ns: 1,
        callee: Some(inner),
    };
    let outer = Tree {
        groups: vec![vec![call]],
        ..Tree::default()
    };
    for (is_released, state) in [(false, State::Unfinished), (true, State::Served)] {
        let mut works = empty(&[station(1, is_released, None)]);
        add_root(&mut works, 0, &outer);
        assert!(simulate(&works).iter().all(|outcome| outcome.state == state));
    }
}

#[test]
fn a_set_up_time_is_not_spent_again_behind_a_queue() {
    let mut works = empty(&[station(1, false, None)]);
    for at in [0, 5] {
        let tree = Tree {
            setup_ns: 3,
            tail_ns: 10,
            ..Tree::default()
        };
        add_root(&mut works, at, &tree);
    }
    // Both were recorded with a slot that slept. Here the second one waits, so its slot does not sleep.
    works.works.iter_mut().for_each(|work| work.wait_ns = 0);
    let outcomes = simulate(&works);
    assert_eq!((outcomes[0].start_ns, outcomes[0].end_ns), (3, 13));
    assert_eq!(
        (outcomes[1].wait_ns, outcomes[1].start_ns, outcomes[1].end_ns),
        (8, 13, 23)
    );
}
