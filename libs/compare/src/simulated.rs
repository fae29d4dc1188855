//! [`simulate`]: the waits and root responses that a run's own arrivals, services and slots lead to.

use cctf_proto::cctf::{Part, SpanId, TraceId};
use foldhash::fast::FixedState;
use plan::stations::{Outcome, State};
use plan::work::{Bounds, WorkError, Works};
use rundir::parts::Run;

use crate::gather::names::FixedMap;
use crate::gather::{Invocation, Side, UNKNOWN};
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

/// Simulates both runs, and says for which modules the simulated waits are not the recorded ones.
///
/// Waits follow from a run's own times. For root responses, paired runs have A's network times and durations of external calls,
/// and others none: the network is no arrival, service or slot, so its difference stays unexplained.
pub fn simulate(works: &mut Both, sides: &[Side; 2], pairs: Option<&Pairs>) -> ([Simulated; 2], Vec<String>) {
    let outcomes = on_two_threads(works);
    let mut notes = Vec::new();
    for ((name, works), outcomes) in ["A", "B"].iter().zip(&*works).zip(&outcomes) {
        notes.extend(misfits(name, works, outcomes));
    }
    let mut found = [0, 1].map(|place: usize| Simulated {
        waits: waits(&works[place], &outcomes[place], &sides[place]),
        responses: Vec::new(),
    });
    drop(outcomes);
    match pairs {
        Some(pairs) => copy_network(works, sides, pairs),
        None => works.iter_mut().for_each(without_network),
    }
    let outcomes = on_two_threads(works);
    for (place, found) in found.iter_mut().enumerate() {
        found.responses = responses(&works[place], &outcomes[place], &sides[place]);
    }
    (found, notes)
}

fn on_two_threads([a, b]: &Both) -> [Vec<Outcome>; 2] {
    let (of_a, of_b) = std::thread::scope(|scope| {
        let of_a = scope.spawn(|| plan::stations::simulate(a));
        let of_b = plan::stations::simulate(b);
        (of_a.join(), of_b)
    });
    match of_a {
        Ok(of_a) => [of_a, of_b],
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A sentence for each module whose simulated waits are not the recorded ones.
fn misfits(run: &str, works: &Works, outcomes: &[Outcome]) -> Vec<String> {
    let fits = plan::stations::fits(works, outcomes);
    let bad = fits.iter().filter(|fit| !fit.is_good());
    bad.map(|fit| {
        format!(
            "{run}: the simulator does not describe the waits of {}: mean {:.2} ms recorded, {:.2} ms simulated; p95 {:.2} ms and {:.2} ms",
            fit.module, fit.mean.recorded, fit.mean.simulated, fit.p95.recorded, fit.p95.simulated
        )
    })
    .collect()
}

fn without_network(works: &mut Works) {
    for call in &mut works.calls {
        (call.out_ns, call.back_ns) = (0, 0);
    }
    for arrival in &mut works.arrivals {
        (arrival.out_ns, arrival.back_ns) = (0, 0);
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

fn is_served(outcome: &Outcome) -> bool {
    outcome.state == State::Served
}

/// Waits by the rows of a side.
fn waits(works: &Works, outcomes: &[Outcome], side: &Side) -> Vec<i64> {
    let numbers = ids(works.works.iter().map(|work| (work.trace_id, work.span_id)));
    let wait = |row: &Invocation| {
        let number = *numbers.get(&(row.trace_id, row.span_id))?;
        let outcome = &outcomes[number as usize];
        is_served(outcome).then(|| outcome.wait_ns + outcome.slot_wait_ns)
    };
    let rows = side.rows.invocations.iter();
    rows.map(|row| wait(row).unwrap_or(UNKNOWN)).collect()
}

/// Responses of the roots by the calls of a side.
fn responses(works: &Works, outcomes: &[Outcome], side: &Side) -> Vec<i64> {
    let mut found = vec![UNKNOWN; side.rows.calls.len()];
    let roots = ids_of_roots(works);
    for &root in &side.tree.roots {
        let row = &side.rows.calls[root as usize];
        let Some(&number) = roots.get(&(row.trace_id, row.span_id)) else {
            continue;
        };
        let arrival = &works.arrivals[number as usize];
        let outcome = &outcomes[arrival.work as usize];
        if is_served(outcome) {
            found[root as usize] = outcome.response_ns() + arrival.out_ns + arrival.back_ns;
        }
    }
    found
}
