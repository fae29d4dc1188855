//! [`simulate`]: the waits that follow from a run's own arrivals, services and slots, and their part of root responses.

use cctf_proto::cctf::{Milliseconds, Part, SpanId, SpanKind, TraceId};
use foldhash::fast::FixedState;
use plan::plan::{Plan, Regressed, Span};
use plan::stations::{Failures, Load, Outcome, State, load, simulate_with};
use plan::work::{CallRow, Collector, InvocationRow, WorkError};
use rundir::parts::Run;

use crate::gather::names::FixedMap;
use crate::gather::{Call, Invocation, Names, Outcome as Ended, Side, UNKNOWN, known};
use crate::pairs::Simulated;

/// The loads of both runs.
pub type Both = [Load; 2];

/// Maximum distance of timestamps from 1970, and maximum sum of all durations, ns. With these bounds, no simulated time
/// overflows. They are enough for four million requests of nine minutes each.
const TIME_MAX: i64 = 1 << 61;

/// The reason why runs cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error("{run} has times that no clock shows")]
    Times { run: String },
}

/// Builds the loads of both runs from their rows, on two threads.
///
/// # Errors
/// If an inventory cannot be read, or a run has too many rows.
pub fn loads(runs: [(&Run, &Part); 2], sides: &[Side; 2], names: &Names) -> Result<Both, SimulationError> {
    let (a, b) = std::thread::scope(|scope| {
        let a = scope.spawn(|| load_of(runs[0], &sides[0], names));
        let b = load_of(runs[1], &sides[1], names);
        (a.join(), b)
    });
    match a {
        Ok(a) => Ok([a?, b?]),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Builds the load of a run. The files are not read again, because the compact rows have all fields that the plan needs.
fn load_of((run, first): (&Run, &Part), side: &Side, names: &Names) -> Result<Load, SimulationError> {
    let mut collector = Collector::default();
    let too_many = |too_many| WorkError::TooMany {
        run: run.id().to_owned(),
        too_many,
    };
    if !has_plausible_times(side) {
        return Err(SimulationError::Times {
            run: run.id().to_owned(),
        });
    }
    for row in &side.rows.invocations {
        collector.invocation(invocation(row, names)).map_err(too_many)?;
    }
    for row in &side.rows.calls[..side.calls as usize] {
        collector.call(call(row, names)).map_err(too_many)?;
    }
    let parts = run.parts_from(first).map_err(WorkError::from)?;
    plan::work::stations(run, &parts, &mut collector).map_err(WorkError::from)?;
    let recorded = collector.finish().map_err(too_many)?;
    // CPU times are parts of own times. The simulator does not need to know which parts.
    let plan = Plan::unchecked(recorded, Span::ALL, &Regressed::default());
    Ok(load(&plan))
}

fn has_plausible_times(side: &Side) -> bool {
    let is_time = |ns: i64| (-TIME_MAX..=TIME_MAX).contains(&ns);
    let mut sum = 0_i128;
    let invocations = side.rows.invocations.iter();
    let calls = side.rows.calls.iter();
    let spans = invocations
        .map(|row| (row.enqueue_ns, row.end_ns, row.response_ns))
        .chain(calls.map(|row| (row.start_ns, row.end_ns, row.duration_ns())));
    for (start, end, duration) in spans {
        if !is_time(start) || !is_time(end) {
            return false;
        }
        let known = known(duration).unwrap_or(0).max(end - start).max(0);
        sum += i128::from(known);
    }
    sum <= i128::from(TIME_MAX)
}

/// The fields of an invocation that the plan reads.
fn invocation<'n>(row: &Invocation, names: &'n Names) -> InvocationRow<'n> {
    let ms = |ns: i64| known(ns).map(Milliseconds::from_ns);
    let queue_ns = |wait: i64| wait.saturating_add(row.wakeup_ns);
    InvocationRow {
        trace_id: row.trace_id,
        span_id: row.span_id,
        parent_id: row.parent,
        parent_span_id: row.parent_span,
        caller_span_id: row.caller,
        module: names.text(row.module),
        instance: names.text(row.instance),
        node: names.text(row.node),
        method: None,
        route: Some(names.text(row.endpoint)),
        // The simulator treats all kinds alike.
        kind: SpanKind::Server,
        enqueue: Milliseconds::from_ns(row.enqueue_ns),
        end: Milliseconds::from_ns(row.end_ns),
        response: ms(row.response_ns),
        queue: known(row.wait_ns).map(|wait| Milliseconds::from_ns(queue_ns(wait))),
        wakeup: Some(Milliseconds::from_ns(row.wakeup_ns)),
        slot_wait: ms(row.slot_wait_ns),
        cpu: ms(row.cpu_ns),
        cpu_wait: ms(row.cpu_wait_ns),
        bytes_in: None,
        bytes_out: None,
        status: match row.outcome {
            Ended::Status(status) => Some(i64::from(status)),
            _ => None,
        },
        error: None,
        is_failed: row.is_failed,
        is_orphan: row.is_orphan,
        // The comparison already counts sampled rows.
        is_sampled: false,
    }
}

/// The fields of a call that the plan reads.
fn call<'n>(row: &Call, names: &'n Names) -> CallRow<'n> {
    CallRow {
        trace_id: row.trace_id,
        span_id: row.span_id,
        parent_span_id: row.parent_span,
        ancestor_id: row.ancestor,
        node: names.text(row.node),
        to: Some(names.text(row.peer)),
        method: None,
        path: Some(names.text(row.endpoint)),
        start: Milliseconds::from_ns(row.start_ns),
        end: Milliseconds::from_ns(row.end_ns),
        bytes_out: None,
        bytes_in: None,
        status: None,
        error: None,
        resends: u64::from(row.resends),
        is_failed: row.is_failed,
        is_message: row.is_message,
    }
}

/// Simulates both runs. Also returns a sentence for each module whose simulated waits deviate from the recorded ones. The loads
/// stay unchanged.
///
/// The part of waits in a response is the response with the recorded slots minus the response with a slot for every request.
/// Everything else, such as services, the network and external calls, is the same in both simulations, so it stays unexplained.
pub fn simulate(loads: &mut Both, sides: &[Side; 2]) -> ([Simulated; 2], Vec<String>) {
    let outcomes = on_two_threads(loads);
    let mut notes = Vec::new();
    for ((name, load), outcomes) in ["A", "B"].iter().zip(&*loads).zip(&outcomes) {
        notes.extend(misfits(name, load, outcomes));
    }
    let roots = [0, 1].map(|place: usize| answered_roots(&loads[place], &sides[place]));
    let mut found = [0, 1].map(|place: usize| Simulated {
        waits: waits(&loads[place], &outcomes[place], &sides[place]),
        response_waits: responses(&roots[place], &outcomes[place], &sides[place]),
    });
    drop(outcomes);
    let slots = [0, 1].map(|place: usize| slots_of(&loads[place]));
    loads.iter_mut().for_each(with_a_slot_for_all);
    let outcomes = on_two_threads(loads);
    for (place, found) in found.iter_mut().enumerate() {
        let without_waits = responses(&roots[place], &outcomes[place], &sides[place]);
        for (response, without) in found.response_waits.iter_mut().zip(without_waits) {
            *response = match (known(*response), known(without)) {
                (Some(response), Some(without)) => response - without,
                _ => UNKNOWN,
            };
        }
    }
    for (load, slots) in loads.iter_mut().zip(slots) {
        for (instance, slots) in load.names.instances.iter_mut().zip(slots) {
            instance.station.slots = slots;
        }
    }
    (found, notes)
}

fn slots_of(load: &Load) -> Vec<Option<u32>> {
    let instances = load.names.instances.iter();
    instances.map(|instance| instance.station.slots).collect()
}

/// Gives each station so many slots that no request waits. Each request still needs its set-up time. A run has fewer requests
/// than this number of slots.
fn with_a_slot_for_all(load: &mut Load) {
    for instance in &mut load.names.instances {
        instance.station.slots = instance.station.slots.map(|_| u32::MAX);
    }
}

/// Simulates with recorded failures, because whether a queue is full can depend on microseconds, and one refusal changes all
/// later waits.
fn on_two_threads([a, b]: &Both) -> [Vec<Outcome>; 2] {
    let (of_a, of_b) = std::thread::scope(|scope| {
        let of_a = scope.spawn(|| simulate_with(a, Failures::AsRecorded));
        let of_b = simulate_with(b, Failures::AsRecorded);
        (of_a.join(), of_b)
    });
    match of_a {
        Ok(of_a) => [of_a, of_b],
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A sentence for each module whose simulated waits deviate from the recorded ones.
fn misfits(run: &str, load: &Load, outcomes: &[Outcome]) -> Vec<String> {
    let fits = plan::stations::fits(load, outcomes);
    let bad = fits.iter().filter(|fit| !fit.is_good());
    bad.map(|fit| {
        format!(
            "{run}: the simulator does not describe the waits of {}: mean {:.2} ms recorded, {:.2} ms simulated; p95 {:.2} ms and {:.2} ms",
            fit.module, fit.mean.recorded, fit.mean.simulated, fit.p95.recorded, fit.p95.simulated
        )
    })
    .collect()
}

type Ids = FixedMap<(TraceId, SpanId), u32>;

fn ids(rows: impl ExactSizeIterator<Item = (TraceId, SpanId)>) -> Ids {
    let mut found = Ids::with_capacity_and_hasher(rows.len(), FixedState::default());
    found.extend(rows.zip(0..));
    found
}

/// Each root of a side that has an answer, and the visit that answered it.
fn answered_roots(load: &Load, side: &Side) -> Vec<(u32, u32)> {
    let arrivals = load.arrivals.iter();
    let numbers = ids(arrivals.map(|arrival| {
        let visit = &load.visits[arrival.visit as usize];
        (visit.trace_id, arrival.span_id)
    }));
    let answered = |&root: &u32| {
        let row = &side.rows.calls[root as usize];
        let number = *numbers.get(&(row.trace_id, row.span_id))?;
        Some((root, load.arrivals[number as usize].visit))
    };
    side.tree.roots.iter().filter_map(answered).collect()
}

fn is_served(outcome: &Outcome) -> bool {
    outcome.state == State::Served
}

/// The waits of a run, in the order of its rows.
fn waits(load: &Load, outcomes: &[Outcome], side: &Side) -> Vec<i64> {
    let numbers = ids(load.visits.iter().map(|visit| (visit.trace_id, visit.span_id)));
    let wait = |row: &Invocation| {
        let number = *numbers.get(&(row.trace_id, row.span_id))?;
        let outcome = &outcomes[number as usize];
        is_served(outcome).then(|| outcome.wait_ns + outcome.slot_wait_ns)
    };
    let rows = side.rows.invocations.iter();
    rows.map(|row| wait(row).unwrap_or(UNKNOWN)).collect()
}

/// The responses of the roots, measured at their receivers, by call.
fn responses(roots: &[(u32, u32)], outcomes: &[Outcome], side: &Side) -> Vec<i64> {
    let mut found = vec![UNKNOWN; side.rows.calls.len()];
    for &(root, visit) in roots {
        let outcome = &outcomes[visit as usize];
        if is_served(outcome) {
            found[root as usize] = outcome.response_ns();
        }
    }
    found
}
