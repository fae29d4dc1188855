//! [`simulate`]: the waits and root responses that a run's own arrivals, services and slots lead to.

use cctf_proto::cctf::{Part, SpanId, TraceId};
use foldhash::fast::FixedState;
use plan::stations::{Outcome, State};
use plan::work::{Bounds, WorkError, Works};
use rundir::parts::Run;

use crate::gather::Side;
use crate::gather::names::FixedMap;
use crate::pairing::Pairs;
use crate::pairs::Simulated;

/// The work of both runs.
pub type Both = [Works; 2];

/// Reads the work of both runs, on two threads.
///
/// # Errors
/// If one cannot be read or is too long.
pub fn works(runs: [(&Run, &Part); 2]) -> Result<Both, WorkError> {
    let [a, b] = runs;
    let read = |(run, part): (&Run, &Part)| plan::work::read(run, part, Bounds::default());
    let (a, b) = std::thread::scope(|scope| {
        let a = scope.spawn(move || read(a));
        let b = read(b);
        (a.join(), b)
    });
    match a {
        Ok(a) => Ok([a?, b?]),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Simulates both runs. B gets the network times and the durations of external calls of A: they are no arrival, service or slot,
/// so their difference stays unexplained.
pub fn simulate(works: &mut Both, sides: &[Side; 2], pairs: Option<&Pairs>) -> [Simulated; 2] {
    if let Some(pairs) = pairs {
        copy_network(works, sides, pairs);
    }
    let [a, b] = &*works;
    let (of_a, of_b) = std::thread::scope(|scope| {
        let of_a = scope.spawn(|| plan::stations::simulate(a));
        let of_b = plan::stations::simulate(b);
        (of_a.join(), of_b)
    });
    match of_a {
        Ok(of_a) => [by_row(a, &of_a, &sides[0]), by_row(b, &of_b, &sides[1])],
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

type Ids = FixedMap<(TraceId, SpanId), u32>;

fn ids(rows: impl ExactSizeIterator<Item = (TraceId, SpanId)>) -> Ids {
    let mut found = Ids::with_capacity_and_hasher(rows.len(), FixedState::default());
    found.extend(rows.zip(0..));
    found
}

fn ids_of_calls(works: &Works) -> Ids {
    let trace = |work: u32| works.works[work as usize].trace_id;
    ids(works.calls.iter().map(|call| (trace(call.work), call.span_id)))
}

fn ids_of_roots(works: &Works) -> Ids {
    let trace = |work: u32| works.works[work as usize].trace_id;
    ids(works
        .arrivals
        .iter()
        .map(|arrival| (trace(arrival.work), arrival.span_id)))
}

fn copy_network(works: &mut Both, sides: &[Side; 2], pairs: &Pairs) {
    let [a, b] = works;
    let calls = [ids_of_calls(a), ids_of_calls(b)];
    let roots = [ids_of_roots(a), ids_of_roots(b)];
    for &(of_a, of_b) in &pairs.calls {
        let rows = [
            &sides[0].rows.calls[of_a as usize],
            &sides[1].rows.calls[of_b as usize],
        ];
        let keys = rows.map(|row| (row.trace_id, row.span_id));
        let find = |ids: &[Ids; 2]| Some([*ids[0].get(&keys[0])? as usize, *ids[1].get(&keys[1])? as usize]);
        if let Some([from, to]) = find(&calls) {
            let from = &a.calls[from];
            let to = &mut b.calls[to];
            (to.out_ns, to.back_ns, to.duration_ns) = (from.out_ns, from.back_ns, from.duration_ns);
        } else if let Some([from, to]) = find(&roots) {
            (b.arrivals[to].out_ns, b.arrivals[to].back_ns) =
                (a.arrivals[from].out_ns, a.arrivals[from].back_ns);
        }
    }
}

/// The outcomes by the rows of a side.
fn by_row(works: &Works, outcomes: &[Outcome], side: &Side) -> Simulated {
    let mut found = Simulated::unknown(side);
    let numbers = ids(works.works.iter().map(|work| (work.trace_id, work.span_id)));
    let is_served = |outcome: &&Outcome| outcome.state == State::Served;
    for (place, row) in side.rows.invocations.iter().enumerate() {
        let outcome = numbers
            .get(&(row.trace_id, row.span_id))
            .map(|&number| &outcomes[number as usize]);
        if let Some(outcome) = outcome.filter(is_served) {
            found.waits[place] = outcome.wait_ns + outcome.slot_wait_ns;
        }
    }
    let roots = ids_of_roots(works);
    for &root in &side.tree.roots {
        let row = &side.rows.calls[root as usize];
        let Some(&number) = roots.get(&(row.trace_id, row.span_id)) else {
            continue;
        };
        let arrival = &works.arrivals[number as usize];
        let outcome = &outcomes[arrival.work as usize];
        if is_served(&outcome) {
            found.responses[root as usize] = outcome.response_ns() + arrival.out_ns + arrival.back_ns;
        }
    }
    found
}
