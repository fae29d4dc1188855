//! [`Collector::finish`]: who called whom among the collected rows, and how long each way took.

use std::mem::take;

use super::collect::{Collector, MadeCall, TooMany};
use super::handover;
use super::model::{Arrival, Call, Ending, NONE, Place, Waited, Works};
use super::own_time::OwnTimes;
use super::segments::Segments;
use crate::roots::Role;

impl Collector {
    /// The work of all rows.
    ///
    /// # Errors
    /// If calls that no row has make too many.
    pub fn finish(self) -> Result<Works, TooMany> {
        finish(self)
    }
}

/// Connects the rows, and computes own times and ways.
fn finish(mut collector: Collector) -> Result<Works, TooMany> {
    infer_calls(&mut collector)?;
    slots(&mut collector);
    let mut rows = take(&mut collector.calls);
    let asleep = collector
        .ties
        .iter()
        .map(|ties| ties.asleep_ns)
        .collect::<Vec<_>>();
    let is_released = |collector: &Collector, work: u32| {
        let instance = collector.works[work as usize].instance as usize;
        collector.names.instances[instance].station.is_released
    };
    rows.sort_unstable_by_key(|row| (row.work, row.start_ns, row.end_ns, row.span_id));
    let mut segments = Segments::default();
    let mut own = OwnTimes::default();
    let mut begin = 0;
    for work in 0..collector.works.len() as u32 {
        let length = rows[begin..].iter().take_while(|row| row.work == work).count();
        let calls: Vec<Call> = rows[begin..begin + length]
            .iter()
            .map(|row| connect(&mut collector, row))
            .collect();
        let asleep_ns = match is_released(&collector, work) && length == 0 {
            true => asleep[work as usize],
            false => 0,
        };
        let recorded = &mut collector.works[work as usize];
        segments.add((work, recorded), &rows[begin..begin + length], calls, asleep_ns);
        own.add(recorded, segments.own_ns);
        begin += length;
    }
    collector.notes.negative_gaps += segments.negative_gaps;
    collector.notes.shortened_waits += segments.shortened_waits;
    let mut works = Works {
        calls: segments.calls,
        waits_for: segments.waits_for,
        ..Works::default()
    };
    link_callees(&mut collector, &mut works.calls);
    works.arrivals = arrivals(&mut collector);
    own.replace_refused(&mut collector.works);
    works.names = collector.names;
    works.works = collector.works;
    works.notes = collector.notes;
    handover::infer(&mut works);
    Ok(works)
}

/// An invocation below another one without a call between them: its times become those of a call.
fn infer_calls(collector: &mut Collector) -> Result<(), TooMany> {
    let mut is_called = vec![false; collector.works.len()];
    for call in collector.calls.iter().chain(&collector.root_calls) {
        let mut callee = call.callee;
        while let Some(called) = is_called.get_mut(callee as usize) {
            if std::mem::replace(called, true) {
                break;
            }
            callee = collector.works[callee as usize].sibling;
        }
    }
    for (index, is_called) in is_called.iter().enumerate() {
        let (work, ties) = (collector.works[index], collector.ties[index]);
        let parent = ties
            .parent
            .and_then(|parent| collector.find(work.trace_id, parent));
        let Some(parent) = parent.filter(|parent| !is_called && *parent != index as u32) else {
            continue;
        };
        // Its siblings each get a call of their own.
        collector.works[index].sibling = NONE;
        let above = &collector.works[parent as usize];
        // The clocks of two nodes differ: the call begins within its invocation.
        let start_ns = work.enqueue_ns.clamp(above.start_ns(), above.end_ns());
        collector.notes.inferred_calls += 1;
        collector.push(MadeCall {
            span_id: work.span_id,
            start_ns,
            end_ns: start_ns + work.response_ns,
            work: parent,
            callee: index as u32,
            node: ties.node,
            is_message: false,
        })?;
    }
    Ok(())
}

/// Requests that had no slot do not need one: those of instances without slots, and those that were answered before the queue.
fn slots(collector: &mut Collector) {
    let mut has_queue = vec![false; collector.names.instances.len()];
    for work in &collector.works {
        has_queue[work.instance as usize] |= work.waited == Waited::Recorded;
    }
    for (instance, has_queue) in collector.names.instances.iter_mut().zip(&has_queue) {
        if !has_queue {
            instance.station.slots = None;
        }
    }
    for work in &mut collector.works {
        let has_slots = collector.names.instances[work.instance as usize]
            .station
            .slots
            .is_some();
        match work.waited {
            Waited::Refused if has_slots => collector.notes.refused += 1,
            Waited::Recorded => {}
            Waited::Refused | Waited::Unknown => {
                work.waited = Waited::Unknown;
                collector.notes.without_queue_time += u64::from(!has_slots);
            }
        }
    }
}

/// The call of a row, without the calls for which it waits.
fn connect(collector: &mut Collector, row: &MadeCall) -> Call {
    let duration_ns = (row.end_ns - row.start_ns).max(0);
    let (mut ending, mut out_ns, mut back_ns) = (Ending::Duration, 0, 0);
    if let Some(callee) = collector.works.get(row.callee as usize) {
        let after_ns = (callee.enqueue_ns - row.start_ns).max(0);
        let is_near = same_clock(collector, row);
        let net_ns = duration_ns - callee.response_ns;
        match (row.is_message, net_ns >= 0) {
            (false, true) => {
                ending = Ending::Answer;
                out_ns = if is_near { after_ns.min(net_ns) } else { net_ns / 2 };
                back_ns = net_ns - out_ns;
            }
            // The caller did not wait for the answer.
            (false, false) => out_ns = if is_near { after_ns } else { 0 },
            (true, _) if is_near => out_ns = after_ns,
            (true, _) => out_ns = after_ns.max(duration_ns),
        }
    }
    Call {
        span_id: row.span_id,
        gap_ns: 0,
        out_ns,
        back_ns,
        duration_ns,
        slot_wait_ns: 0,
        setup_ns: 0,
        early_ns: 0,
        work: row.work,
        callee: row.callee,
        first_wait: 0,
        waits: 0,
        ending,
        place: Place::Joined,
        begins_group: false,
    }
}

/// Whether a call and the invocation that it caused have timestamps of one clock.
fn same_clock(collector: &Collector, row: &MadeCall) -> bool {
    let node = collector.ties.get(row.callee as usize).map(|ties| ties.node);
    let is_known = || collector.names.nodes[row.node as usize] != "unknown";
    node == Some(row.node) && is_known()
}

/// Sets the caller of each invocation. A second row of a call causes nothing.
fn link_callees(collector: &mut Collector, calls: &mut [Call]) {
    for (index, call) in calls.iter_mut().enumerate() {
        let is_second = collector
            .works
            .get(call.callee as usize)
            .is_some_and(|work| work.caller != NONE);
        if is_second {
            collector.notes.duplicates += 1;
            call.callee = NONE;
            call.ending = Ending::Duration;
        }
        let mut callee = call.callee;
        while let Some(work) = collector.works.get_mut(callee as usize) {
            work.caller = index as u32;
            callee = work.sibling;
        }
    }
}

/// Everything that no call of an invocation caused, in the order of arrival.
fn arrivals(collector: &mut Collector) -> Vec<Arrival> {
    let mut from_outside: Vec<Option<(MadeCall, bool)>> = vec![None; collector.works.len()];
    for row in take(&mut collector.root_calls) {
        if row.callee == NONE {
            collector.notes.unanswered_roots += 1;
        }
        let (mut callee, mut is_first) = (row.callee, true);
        while let Some(slot) = from_outside.get_mut(callee as usize) {
            if slot.is_some() {
                break;
            }
            *slot = Some((row, is_first));
            is_first = false;
            callee = collector.works[callee as usize].sibling;
        }
    }
    let mut arrivals = Vec::new();
    for (index, call) in from_outside.into_iter().enumerate() {
        let (work, ties) = (collector.works[index], collector.ties[index]);
        if work.caller != NONE {
            continue;
        }
        let mut arrival = Arrival {
            work: index as u32,
            at_ns: work.enqueue_ns,
            out_ns: 0,
            back_ns: 0,
            span_id: work.span_id,
            // An invocation whose call has no row is not a root.
            is_root: ties.parent.is_none()
                && Role::of_invocation(ties.has_caller, ties.is_orphan) == Role::Invocation,
        };
        if let Some((row, is_first)) = call {
            let call = connect(collector, &row);
            arrival.is_root = is_first;
            if is_first {
                arrival.span_id = row.span_id;
                arrival.out_ns = call.out_ns;
                arrival.back_ns = call.back_ns;
            }
        }
        collector.notes.without_caller += u64::from(!arrival.is_root);
        arrivals.push(arrival);
    }
    arrivals.sort_by_key(|arrival| (arrival.at_ns, arrival.work));
    arrivals
}
