//! [`between`]: the attribution of two compared runs.

use std::hash::BuildHasher;

use cctf_proto::cctf::{SpanId, TraceId};
use foldhash::fast::FixedState;
use plan::stations::Load;

use super::attribute::attribute;
use super::partners::Partners;
use crate::gather::Side;
use crate::gather::names::FixedMap;
use crate::model::Attribution;

/// Fixed seed of the random choices, so that the same runs always give the same result.
const SEED: u64 = 1;

/// Attributes the differences of two runs. `pairs` are paired invocations, or `None` if the runs are not replays. The loads must
/// be as recorded, each with its own network times.
pub fn between(
    loads: &[Load; 2],
    sides: &[Side; 2],
    pairs: Option<&[(u32, u32)]>,
    threads: usize,
) -> Vec<Attribution> {
    let [a, b] = loads;
    let pairs = pairs.map(|pairs| {
        let numbers = [0, 1].map(|side: usize| numbers(&loads[side], &sides[side]));
        let number = |side: usize, row: u32| numbers[side].get(row as usize).copied().flatten();
        let pairs = pairs.iter();
        pairs
            .filter_map(|&(of_a, of_b)| Some((number(0, of_a)?, number(1, of_b)?)))
            .collect::<Vec<_>>()
    });
    attribute(&Partners::new([a, b], pairs.as_deref(), SEED), threads)
}

/// The visit of each invocation of a run.
fn numbers(load: &Load, side: &Side) -> Vec<Option<u32>> {
    let hash = |trace: TraceId, span: SpanId| FixedState::default().hash_one((trace.0, span.0));
    let mut by_id = FixedMap::with_capacity_and_hasher(load.visits.len(), FixedState::default());
    for (number, visit) in load.visits.iter().enumerate() {
        by_id
            .entry(hash(visit.trace_id, visit.span_id))
            .or_insert(number as u32);
    }
    let rows = side.rows.invocations.iter();
    rows.map(|row| {
        let number = by_id.get(&hash(row.trace_id, row.span_id)).copied()?;
        let visit = &load.visits[number as usize];
        // Checks the ids, because two ids can have the same hash.
        (visit.trace_id == row.trace_id && visit.span_id == row.span_id).then_some(number)
    })
    .collect()
}
