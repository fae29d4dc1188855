//! [`at_arrivals`]: a load with the same work, but other arrival times.

use std::ops::Range;

use super::model::{Arrival, Load, Wait};
use crate::work::NONE;

/// A copy of a load with other arrivals. `arrivals` has pairs of an index in [`Load::arrivals`] and a new time, sorted by time.
/// Each new arrival causes everything that the recorded arrival of this index caused.
pub fn at_arrivals(load: &Load, arrivals: &[(u32, i64)]) -> Load {
    let mut begins: Vec<u32> = load.arrivals.iter().map(|arrival| arrival.visit).collect();
    begins.sort_unstable();
    let mut moved = Load {
        names: load.names.clone(),
        notes: load.notes.clone(),
        ..Load::default()
    };
    for &(number, at_ns) in arrivals {
        let arrival = &load.arrivals[number as usize];
        let next = begins.partition_point(|begin| *begin <= arrival.visit);
        let end = begins
            .get(next)
            .map_or(load.visits.len(), |begin| *begin as usize);
        let visit = moved.visits.len() as u32;
        copy(load, arrival.visit as usize..end, &mut moved);
        moved.arrivals.push(Arrival {
            visit,
            at_ns,
            ..*arrival
        });
    }
    moved
}

/// Appends copies of the visits of one root, with their calls and waits. The visits of a root are contiguous.
fn copy(load: &Load, visits: Range<usize>, moved: &mut Load) {
    let first_call = |visit: usize| {
        let visit = load.visits.get(visit);
        visit.map_or(load.calls.len(), |visit| visit.first_call as usize)
    };
    let calls = first_call(visits.start)..first_call(visits.end);
    let more = |number: u32, old: usize, new: usize| match number {
        NONE => NONE,
        number => (number as usize - old + new) as u32,
    };
    let (old_visit, new_visit) = (visits.start, moved.visits.len());
    let (old_call, new_call) = (calls.start, moved.calls.len());
    let mut waits_for = std::mem::take(&mut moved.waits_for);
    let mut wait_of = |wait: &Wait| {
        let first = waits_for.len() as u32;
        let places = load.waits_for[wait.places()].iter();
        waits_for.extend(places.map(|call| more(*call, old_call, new_call)));
        Wait { first, ..*wait }
    };
    for call in &load.calls[calls] {
        let mut copied = *call;
        copied.wait = wait_of(&call.wait);
        copied.visit = more(call.visit, old_visit, new_visit);
        copied.callee = more(call.callee, old_visit, new_visit);
        copied.retry_of = more(call.retry_of, old_call, new_call);
        moved.calls.push(copied);
    }
    for visit in &load.visits[visits] {
        let mut copied = *visit;
        copied.answer = wait_of(&visit.answer);
        copied.first_call = more(visit.first_call, old_call, new_call);
        copied.caller = more(visit.caller, old_call, new_call);
        copied.sibling = more(visit.sibling, old_visit, new_visit);
        moved.visits.push(copied);
    }
    moved.waits_for = waits_for;
}
