//! [`waits`]: infers the calls for which each call of an invocation, and its answer, waits.

use super::model::{WAITS_PER_CALL_MAX, Wait};
use super::orders::{COMPARED_CALLS_MAX, Order, Orders, Reader};
use super::timeline::Timeline;

/// The waits of one invocation. Their times are filled in later.
#[derive(Debug, Clone, Default)]
pub struct Waits {
    /// The wait of each call. Calls are in the order of their starts.
    pub calls: Vec<Wait>,
    pub answer: Wait,
    /// Number of calls that wait for more calls than the maximum. Such a call waits only for the calls that ended last.
    pub shortened: u64,
}

impl Waits {
    /// The wait of a call. The number of calls as index returns the wait of the answer.
    pub fn of(&mut self, call: usize) -> &mut Wait {
        self.calls.get_mut(call).unwrap_or(&mut self.answer)
    }
}

/// The waits of the invocation that `reader` read last. A call after the answer also waits for the answer.
pub fn waits(orders: &Orders, reader: &Reader) -> Waits {
    match orders.of(&reader.signature) {
        Some(order) => compared(order, reader),
        None => alone(&reader.timeline),
    }
}

/// Indices of the calls in the order of their starts. The answer comes before the calls that start after it.
fn sequence(timeline: &Timeline) -> impl Iterator<Item = usize> {
    let calls = timeline.calls.len();
    let before = timeline
        .calls
        .partition_point(|call| call.start_ns < timeline.end_ns);
    (0..before).chain([calls]).chain(before..calls)
}

fn compared(order: Order<'_>, reader: &Reader) -> Waits {
    let Reader { timeline, signature } = reader;
    let calls = timeline.calls.len();
    let place = |call: usize| signature.places.get(call).map_or(calls, |place| *place as usize);
    let mut call_at = [0_u32; COMPARED_CALLS_MAX];
    for (call, place) in signature.places.iter().enumerate() {
        call_at[*place as usize] = call as u32;
    }
    let mut by_end: Vec<usize> = (0..calls).collect();
    by_end.sort_by_key(|call| (timeline.calls[*call].end_ns, *call));
    // For each place: the places for which the call there waits, directly or through other calls.
    let mut behind = [0_u64; COMPARED_CALLS_MAX + 1];
    let mut waits = Waits {
        calls: vec![Wait::default(); calls],
        ..Waits::default()
    };
    for call in sequence(timeline) {
        let at = place(call);
        let starts_ns = timeline
            .calls
            .get(call)
            .map_or(timeline.end_ns, |call| call.start_ns);
        let is_late = call < calls && timeline.is_after_answer(call);
        let mut known = if is_late { 1 << calls | behind[calls] } else { 0 };
        let mut wait = Wait::default();
        for &other in by_end.iter().rev() {
            let is_earlier = other < call && (call < calls || !timeline.is_after_answer(other));
            let is_known = known >> place(other) & 1 == 1;
            if !is_earlier || is_known || !timeline.calls[other].has_ended(starts_ns) {
                continue;
            }
            if order.is_kept(place(other), at) {
                wait.after.push(other as u32);
                known |= 1 << place(other) | behind[place(other)];
            }
        }
        if let Some(quorum) = order.quorum(at) {
            let places = (0..calls).filter(|place| quorum.group >> place & 1 == 1);
            wait.any_of = places.map(|place| call_at[place]).collect();
            wait.any_of.sort_unstable();
            wait.need = quorum.need;
        }
        wait.after.sort_unstable();
        behind[at] = known;
        *waits.of(call) = wait;
    }
    waits
}

/// The waits of an invocation that is not compared with others. Each call waits for all calls that had ended before it started.
/// A call is left out if it had also ended before the start of another call of that list, because the other call already waits
/// for it.
fn alone(timeline: &Timeline) -> Waits {
    let calls = &timeline.calls;
    let mut by_end: Vec<usize> = (0..calls.len()).collect();
    by_end.sort_by_key(|call| (calls[*call].end_ns, *call));
    let mut waits = Waits {
        calls: vec![Wait::default(); calls.len()],
        ..Waits::default()
    };
    for call in sequence(timeline) {
        let starts_ns = calls.get(call).map_or(timeline.end_ns, |call| call.start_ns);
        let is_late = call < calls.len() && timeline.is_after_answer(call);
        let mut wait = Wait::default();
        // The latest start among the ended calls and, for a call after the answer, the answer.
        let mut latest = is_late.then_some((timeline.end_ns, usize::MAX));
        let has_ended = |other: &usize| {
            let is_earlier = *other < call && (call < calls.len() || !timeline.is_after_answer(*other));
            is_earlier && calls[*other].has_ended(starts_ns)
        };
        let ended: Vec<usize> = by_end.iter().copied().filter(has_ended).collect();
        for &other in &ended {
            latest = latest.max(Some((calls[other].start_ns, other)));
        }
        let Some((latest_ns, latest)) = latest else {
            continue;
        };
        for &other in ended.iter().rev() {
            let is_before = calls[other].end_ns <= latest_ns;
            if is_before && other != latest {
                break;
            }
            if wait.after.len() == WAITS_PER_CALL_MAX {
                waits.shortened += 1;
                break;
            }
            wait.after.push(other as u32);
        }
        wait.after.sort_unstable();
        *waits.of(call) = wait;
    }
    waits
}
