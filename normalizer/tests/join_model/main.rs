//! The join against a naive model: what a span is and who caused it, found by walking up over all spans that there are.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod model;

use std::collections::HashSet;

use cctf_normalizer::join::{Departed, JoinTable, Outcome, Role};
use cctf_proto::cctf::SpanId;
use proptest::prelude::*;

use model::{ENTRIES_MAX, MISSING, Made, Model, Table, WINDOW, arrival, forest, id, in_any_order, tangle};

fn caused_by(outcome: Outcome) -> Result<Option<SpanId>, ()> {
    match outcome {
        Outcome::Invocation { parent, .. } => Ok(parent),
        Outcome::Call { ancestor, .. } => Ok(ancestor),
        Outcome::Nothing => Err(()),
    }
}

fn is_orphan(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Invocation { orphan: true, .. } | Outcome::Call { orphan: true, .. }
    )
}

/// What holds of every row, whenever its spans came.
fn check_row(model: &Model<'_>, place: usize, outcome: Outcome) -> Result<(), TestCaseError> {
    let span = &model.0[place];
    if is_orphan(outcome) {
        prop_assert_eq!(caused_by(outcome), Ok(None));
        prop_assert!(span.parent.is_some(), "a root is no orphan");
    }
    match outcome {
        Outcome::Invocation { caller, .. } => {
            prop_assert!(!span.role.is_call());
            if let Some(caller) = caller {
                let parent = span.parent.filter(|&parent| parent < MISSING).unwrap();
                prop_assert_eq!(caller.span_id, SpanId(id(parent)));
                prop_assert!(model.0[parent].role.is_call());
                prop_assert!(caller.callees >= 1);
            }
        }
        Outcome::Call { callee, .. } => {
            prop_assert!(span.role.is_call());
            let is_callee = |child: &&Made| {
                child.parent == Some(place)
                    && matches!(child.role, Role::Server | Role::Consumer | Role::Receipt)
            };
            let answered = model.0.iter().filter(is_callee);
            let instances: HashSet<u32> = answered.map(|child| child.instance).collect();
            prop_assert!(callee.is_none_or(|callee| instances.contains(&callee)));
        }
        Outcome::Nothing => prop_assert!(matches!(span.role, Role::Server | Role::Consumer | Role::Receipt)),
    }
    Ok(())
}

fn check_emptied(table: &Table, spans: &[Made]) -> Result<(), TestCaseError> {
    prop_assert!(table.join.is_empty(), "{} entries stay", table.join.len());
    let calls = spans.iter().filter(|span| span.role.is_call()).count();
    prop_assert_eq!(table.departed.len(), calls);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn within_the_window_the_order_of_arrival_does_not_matter(
        (spans, order, _) in in_any_order(forest(24), 0)
    ) {
        let model = Model(&spans);
        let mut table = Table::new(ENTRIES_MAX);
        for (step, &place) in order.iter().enumerate() {
            table.insert(place, &spans[place], model.has_row(place), step as u64);
            table.expire(step as u64);
        }
        table.drain(order.len() as u64);
        for place in 0..spans.len() {
            let settled = table.outcomes.get(&place).copied();
            prop_assert_eq!(settled.is_some(), model.has_row(place), "row {}", place);
            let Some((outcome, _)) = settled else { continue };
            check_row(&model, place, outcome)?;
            match model.outcome(place) {
                Some(expected) => {
                    prop_assert_eq!(caused_by(outcome), expected, "row {}", place);
                    prop_assert!(!is_orphan(outcome), "row {}", place);
                }
                // Above is a SERVER span that became an invocation when its own window passed, or nothing.
                None if !is_orphan(outcome) => {
                    let above = model.above(place);
                    let is_above = |id_of: SpanId| above.iter().any(|&place| SpanId(id(place)) == id_of);
                    prop_assert!(caused_by(outcome).is_ok_and(|by| by.is_some_and(is_above)) || outcome == Outcome::Nothing);
                }
                None => {}
            }
            if let (Outcome::Invocation { caller, .. }, Some(parent)) = (outcome, model.parent(place)) {
                prop_assert_eq!(caller.is_some(), parent.role.is_call(), "row {}", place);
            }
        }
        check_emptied(&table, &spans)?;
    }

    #[test]
    fn whatever_time_passes_each_row_is_settled_once_and_in_its_window(
        (spans, order, steps) in in_any_order(forest(24), WINDOW / 3)
    ) {
        let model = Model(&spans);
        let mut table = Table::new(ENTRIES_MAX);
        let (mut now, mut arrived) = (0, vec![0; spans.len()]);
        for (&place, step) in order.iter().zip(&steps) {
            for _ in 0..*step {
                now += 1;
                table.expire(now);
            }
            arrived[place] = now;
            table.insert(place, &spans[place], model.has_row(place), now);
        }
        for _ in 0..WINDOW {
            now += 1;
            table.expire(now);
        }
        for place in (0..spans.len()).filter(|&place| model.has_row(place)) {
            let Some(&(outcome, at)) = table.outcomes.get(&place) else {
                return Err(TestCaseError::fail(format!("row {place} waits for ever")));
            };
            check_row(&model, place, outcome)?;
            prop_assert!(at <= arrived[place] + WINDOW, "row {} at {}", place, at);
            if is_orphan(outcome) {
                prop_assert_eq!(at, arrived[place] + WINDOW);
            }
            // All above came after it and within its window: its walk was never cut.
            let window = arrived[place]..arrived[place] + WINDOW;
            let is_whole = model.above(place).iter().all(|&above| window.contains(&arrived[above]));
            if let (true, Some(expected)) = (is_whole, model.outcome(place)) {
                prop_assert_eq!(caused_by(outcome), expected, "row {}", place);
                prop_assert!(!is_orphan(outcome), "row {}", place);
            }
        }
        table.drain(now);
        check_emptied(&table, &spans)?;
    }

    #[test]
    fn cycles_end_with_their_window(
        (spans, order, steps) in in_any_order(tangle(12), WINDOW / 2)
    ) {
        let model = Model(&spans);
        let mut table = Table::new(ENTRIES_MAX);
        let mut now = 0;
        for (&place, step) in order.iter().zip(&steps) {
            now += step;
            table.expire(now);
            table.insert(place, &spans[place], model.has_row(place), now);
        }
        table.drain(now);
        for place in (0..spans.len()).filter(|&place| model.has_row(place)) {
            let Some(&(outcome, _)) = table.outcomes.get(&place) else {
                return Err(TestCaseError::fail(format!("row {place} waits for ever")));
            };
            prop_assert_ne!(caused_by(outcome), Ok(Some(SpanId(id(place)))));
        }
        check_emptied(&table, &spans)?;
    }

    #[test]
    fn a_full_table_lets_the_oldest_go(
        (spans, order, _) in in_any_order(forest(64), 0),
        entries_max in 1..16_usize,
    ) {
        let model = Model(&spans);
        let mut table = Table::new(entries_max);
        for &place in &order {
            table.insert(place, &spans[place], model.has_row(place), 0);
            table.expire(0);
            prop_assert!(table.join.len() <= entries_max);
        }
        table.drain(0);
        let rows = (0..spans.len()).filter(|&place| model.has_row(place)).count();
        prop_assert_eq!(table.outcomes.len(), rows);
        check_emptied(&table, &spans)?;
    }
}

const DEPTH: usize = 100_000;

/// A chain of inner spans from an invocation down to a call.
fn chain() -> Vec<Made> {
    let inner = |place: usize| Made {
        role: match place {
            0 => Role::Server,
            place if place == DEPTH - 1 => Role::Client,
            _ => Role::Internal,
        },
        instance: 0,
        parent: place.checked_sub(1),
        is_remote: false,
    };
    (0..DEPTH).map(inner).collect()
}

fn settle_chain(order: impl Iterator<Item = usize>) {
    let spans = chain();
    let model = Model(&spans);
    let mut table = Table::new(ENTRIES_MAX);
    for place in order {
        table.insert(place, &spans[place], model.has_row(place), 0);
    }
    let (outcome, _) = table.outcomes[&(DEPTH - 1)];
    assert_eq!(caused_by(outcome), Ok(Some(SpanId(id(0)))));
    assert!(!is_orphan(outcome));
    table.drain(0);
    assert!(table.join.is_empty());
}

#[test]
fn a_chain_of_a_hundred_thousand_spans_is_walked_whichever_end_comes_first() {
    settle_chain((0..DEPTH).rev());
    settle_chain(0..DEPTH);
    settle_chain((0..DEPTH).step_by(2).chain((1..DEPTH).step_by(2)));
}

#[test]
fn a_hundred_thousand_children_wait_on_one_parent() {
    let mut table = Table::new(ENTRIES_MAX);
    let call = Made {
        role: Role::Client,
        instance: 0,
        parent: Some(0),
        is_remote: false,
    };
    for place in 1..=DEPTH {
        table.insert(place, &call, true, place as u64 % WINDOW);
    }
    let root = Made {
        role: Role::Server,
        parent: None,
        ..call
    };
    table.insert(0, &root, true, WINDOW - 1);
    assert_eq!(table.outcomes.len(), DEPTH + 1);
    assert!((1..=DEPTH).all(|place| caused_by(table.outcomes[&place].0) == Ok(Some(SpanId(id(0))))));
}

#[test]
fn a_call_and_its_answer_may_share_an_id_whichever_comes_first() {
    let caller = Made {
        role: Role::Server,
        instance: 0,
        parent: None,
        is_remote: false,
    };
    let call = Made {
        role: Role::Client,
        instance: 0,
        parent: Some(0),
        is_remote: false,
    };
    let answer = Made {
        role: Role::Server,
        instance: 1,
        ..call
    };
    for twins in [[(1, call), (1, answer)], [(1, answer), (1, call)]] {
        let mut join = JoinTable::new(WINDOW, ENTRIES_MAX);
        join.insert(&arrival(0, &caller), 0).unwrap();
        for (place, twin) in twins {
            let outcome = join.insert(&arrival(place, &twin), 0).unwrap();
            assert_eq!(caused_by(outcome), Ok(Some(SpanId(id(0)))));
        }
        let inner = |instance| Made {
            instance,
            parent: Some(1),
            ..call
        };
        let by_caller = join.insert(&arrival(2, &inner(0)), 0).unwrap();
        let by_answer = join.insert(&arrival(3, &inner(1)), 0).unwrap();
        assert_eq!(caused_by(by_caller), Ok(Some(SpanId(id(0)))));
        assert_eq!(caused_by(by_answer), Ok(Some(SpanId(id(1)))));
        join.expire(2 * WINDOW);
        let first_call = |departed: &Departed| departed.callee == Some(1);
        let departed: Vec<Departed> = std::iter::from_fn(|| join.take_departed()).collect();
        assert_eq!(departed.iter().filter(|call| first_call(call)).count(), 1);
        assert!(join.is_empty());
    }
}

#[test]
fn spans_of_unknown_instances_are_not_of_the_same_one() {
    let mut join = JoinTable::new(WINDOW, ENTRIES_MAX);
    let server = |parent| Made {
        role: Role::Server,
        instance: u32::MAX,
        parent,
        is_remote: false,
    };
    join.insert(&arrival(0, &server(None)), 0).unwrap();
    let below = join.insert(&arrival(1, &server(Some(0))), 0).unwrap();
    assert_eq!(caused_by(below), Ok(Some(SpanId(id(0)))));
}
