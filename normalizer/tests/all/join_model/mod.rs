//! Compares the join with its rules: the kind of a span and its caller depend only on the set of spans, not on their order.

mod model;
mod reference;

use std::collections::HashSet;

use aggregate::ids::InstanceId;
use cctf_normalizer::join::{Arrival, Evicted, JoinTable, Joined, Outcome, Role};
use cctf_proto::cctf::SpanId;
use proptest::prelude::*;

use model::{
    ENTRIES_MAX, Made, ROOT, Table, UNKNOWN_INSTANCE, WINDOW, arrival, id, in_any_order, may_have_row, trace,
};
use reference::Reference;

/// Number of random traces. FUZZ_INPUTS changes it; `make fuzz` sets this variable.
const TRACES: u32 = 4_000;

fn traces() -> u32 {
    std::env::var("FUZZ_INPUTS").map_or(TRACES, |text| text.parse().unwrap())
}

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

fn row_of(outcome: Outcome) -> reference::Row {
    caused_by(outcome).ok().map(|above| (above, is_orphan(outcome)))
}

fn check_emptied(table: &Table, spans: &[Made]) -> Result<(), TestCaseError> {
    prop_assert!(table.join.is_empty(), "{} entries stay", table.join.len());
    prop_assert_eq!(table.join.extended(), 0);
    let calls = spans.iter().filter(|span| span.role.is_call()).count();
    prop_assert_eq!(table.evicted.len(), calls);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: traces(), ..ProptestConfig::default() })]

    /// Traces have missing parents, cycles, ids that a call and its answer share, and second instrumentations with and without
    /// flags.
    #[test]
    fn within_the_window_the_rows_follow_from_the_set_of_spans(
        (spans, order, steps) in in_any_order(trace(16), WINDOW / 17)
    ) {
        let reference = Reference::new(&spans);
        let mut table = Table::new(ENTRIES_MAX);
        let (mut now, mut arrived) = (0, vec![0; spans.len()]);
        for (&place, step) in order.iter().zip(&steps) {
            if now + step < WINDOW {
                now += step;
            }
            table.expire(now);
            arrived[place] = now;
            table.insert(place, &spans[place], now);
        }
        table.drain(now);
        for (place, span) in spans.iter().enumerate() {
            let expected = reference.row(place);
            if !may_have_row(span) {
                prop_assert_eq!(expected, None, "row {}", place);
                continue;
            }
            let Some(&(outcome, at)) = table.outcomes.get(&place) else {
                return Err(TestCaseError::fail(format!("row {place} waits for ever")));
            };
            prop_assert_eq!(row_of(outcome), expected, "row {}", place);
            prop_assert!(at <= arrived[place] + 2 * WINDOW + WINDOW / 5, "row {} at {}", place, at);
        }
        check_emptied(&table, &spans)?;
    }

    #[test]
    fn whatever_time_passes_each_row_is_settled_once_and_in_two_windows(
        (spans, order, steps) in in_any_order(trace(24), WINDOW / 3)
    ) {
        let mut table = Table::new(ENTRIES_MAX);
        let (mut now, mut arrived) = (0, vec![0; spans.len()]);
        for (&place, step) in order.iter().zip(&steps) {
            for _ in 0..*step {
                now += 1;
                table.expire(now);
            }
            arrived[place] = now;
            table.insert(place, &spans[place], now);
        }
        for _ in 0..2 * WINDOW {
            now += 1;
            table.expire(now);
        }
        let invocations: HashSet<SpanId> = table.outcomes.iter()
            .filter(|(_, (outcome, _))| matches!(outcome, Outcome::Invocation { .. }))
            .map(|(&place, _)| SpanId(id(spans[place].id)))
            .collect();
        for place in (0..spans.len()).filter(|&place| may_have_row(&spans[place])) {
            let Some(&(outcome, at)) = table.outcomes.get(&place) else {
                return Err(TestCaseError::fail(format!("row {place} waits for ever")));
            };
            prop_assert!(at <= arrived[place] + 2 * WINDOW, "row {} at {}", place, at);
            if let Ok(Some(above)) = caused_by(outcome) {
                prop_assert!(invocations.contains(&above), "row {} names {}", place, above);
            }
            if is_orphan(outcome) {
                prop_assert_eq!(caused_by(outcome), Ok(None));
                prop_assert!(spans[place].parent.is_some(), "a root is no orphan");
            }
        }
        check_no_cycle(&table, &spans)?;
        table.drain(now);
        check_emptied(&table, &spans)?;
    }

    #[test]
    fn a_full_table_evicts_the_oldest(
        (spans, order, _) in in_any_order(trace(64), 0),
        entries_max in 1..16_usize,
    ) {
        let mut table = Table::new(entries_max);
        for &place in &order {
            table.insert(place, &spans[place], 0);
            table.expire(0);
            prop_assert!(table.join.len() <= entries_max);
        }
        table.drain(0);
        let rows = (0..spans.len()).filter(|&place| may_have_row(&spans[place])).count();
        prop_assert_eq!(table.outcomes.len(), rows);
        check_emptied(&table, &spans)?;
    }
}

/// Checks that no invocation is its own ancestor.
fn check_no_cycle(table: &Table, spans: &[Made]) -> Result<(), TestCaseError> {
    let parent_of = |span: SpanId| {
        let mut rows = table.outcomes.iter();
        rows.find_map(|(&place, &(outcome, _))| match outcome {
            Outcome::Invocation { parent, .. } if SpanId(id(spans[place].id)) == span => Some(parent),
            _ => None,
        })
        .flatten()
    };
    for span in spans {
        let (mut at, mut steps) = (parent_of(SpanId(id(span.id))), 0);
        while let Some(above) = at {
            at = parent_of(above);
            steps += 1;
            prop_assert!(steps <= spans.len(), "a cycle above {}", span.id);
        }
    }
    Ok(())
}

/// The outcome of a span that does not wait for another one.
fn resolved(join: &mut JoinTable, arrival: &Arrival) -> Outcome {
    match join.insert(arrival, 0) {
        Joined::Resolved(outcome) => outcome,
        Joined::Waits(_) => panic!("{arrival:?} waits"),
    }
}

const DEPTH: usize = 100_000;

/// A chain of inner spans between an invocation and a call.
fn chain() -> Vec<Made> {
    let inner = |place: usize| Made {
        id: place,
        role: match place {
            0 => Role::Server,
            place if place == DEPTH - 1 => Role::Client,
            _ => Role::Internal,
        },
        parent: place.checked_sub(1),
        ..ROOT
    };
    (0..DEPTH).map(inner).collect()
}

fn settle_chain(order: impl Iterator<Item = usize>) {
    let spans = chain();
    let mut table = Table::new(ENTRIES_MAX);
    for place in order {
        table.insert(place, &spans[place], 0);
    }
    let (outcome, _) = table.outcomes[&(DEPTH - 1)];
    assert_eq!(row_of(outcome), Some((Some(SpanId(id(0))), false)));
    table.drain(0);
    assert!(table.join.is_empty());
}

#[test]
fn a_chain_of_100_000_spans_is_walked_whichever_end_comes_first() {
    settle_chain((0..DEPTH).rev());
    settle_chain(0..DEPTH);
    settle_chain((0..DEPTH).step_by(2).chain((1..DEPTH).step_by(2)));
}

#[test]
fn a_hundred_thousand_children_wait_on_one_parent() {
    let mut table = Table::new(ENTRIES_MAX);
    for place in 1..=DEPTH {
        let call = Made {
            id: place,
            role: Role::Client,
            parent: Some(0),
            ..ROOT
        };
        table.insert(place, &call, place as u64 % WINDOW);
    }
    table.insert(0, &ROOT, WINDOW - 1);
    assert_eq!(table.outcomes.len(), DEPTH + 1);
    assert!((1..=DEPTH).all(|place| caused_by(table.outcomes[&place].0) == Ok(Some(SpanId(id(0))))));
}

#[test]
fn a_call_and_its_answer_may_share_an_id_whichever_comes_first() {
    let call = Made {
        id: 1,
        role: Role::Client,
        parent: Some(0),
        ..ROOT
    };
    let answer = Made {
        role: Role::Server,
        instance: 1,
        ..call
    };
    for twins in [[call, answer], [answer, call]] {
        let mut join = JoinTable::new(WINDOW, ENTRIES_MAX);
        resolved(&mut join, &arrival(&ROOT));
        for twin in twins {
            let outcome = resolved(&mut join, &arrival(&twin));
            assert_eq!(caused_by(outcome), Ok(Some(SpanId(id(0)))));
        }
        let below = |id: usize, instance| Made {
            id,
            instance,
            parent: Some(1),
            ..call
        };
        let by_caller = resolved(&mut join, &arrival(&below(2, 0)));
        let by_answer = resolved(&mut join, &arrival(&below(3, 1)));
        assert_eq!(caused_by(by_caller), Ok(Some(SpanId(id(0)))));
        assert_eq!(caused_by(by_answer), Ok(Some(SpanId(id(1)))));
        join.expire(2 * WINDOW);
        let first_call = |evicted: &Evicted| evicted.callee == Some(InstanceId::new(1));
        let evicted: Vec<Evicted> = std::iter::from_fn(|| join.take_evicted()).collect();
        assert_eq!(evicted.iter().filter(|call| first_call(call)).count(), 1);
        assert!(join.is_empty());
    }
}

#[test]
fn spans_of_unknown_instances_belong_to_different_ones() {
    let mut join = JoinTable::new(WINDOW, ENTRIES_MAX);
    let server = |id, parent| Made {
        id,
        instance: UNKNOWN_INSTANCE,
        parent,
        ..ROOT
    };
    resolved(&mut join, &arrival(&server(0, None)));
    let below = resolved(&mut join, &arrival(&server(1, Some(0))));
    assert_eq!(caused_by(below), Ok(Some(SpanId(id(0)))));
}
