//! [`Collector::finish`]: finds out which call caused which invocation, and how long the request and the answer were on the
//! way.

use std::mem::take;

use super::collect::{Collector, MadeCall, TooMany};
use super::model::{Arrival, Call, CallFacts, NONE, Recorded, Waited, What};
use crate::roots::Role;

impl Collector {
    /// Connects the collected rows.
    ///
    /// # Errors
    /// If inferred calls exceed the maximum number of calls.
    pub fn finish(mut self) -> Result<Recorded, TooMany> {
        infer_calls(&mut self)?;
        slots(&mut self);
        add_sleeps(&mut self)?;
        let mut rows = take(&mut self.calls);
        // A stable sort: calls with the same times keep the order of their rows, whatever their ids are.
        rows.sort_by_key(|row| (row.work, row.start_ns, row.end_ns));
        let mut calls: Vec<Call> = rows.iter().map(|row| connect(&self, row)).collect();
        drop(rows);
        let mut begin = 0;
        for (index, work) in self.works.iter_mut().enumerate() {
            let of_work = calls[begin..].iter().take_while(|call| call.work == index as u32);
            work.first_call = begin as u32;
            work.calls = of_work.count() as u32;
            begin += work.calls as usize;
        }
        link_callees(&mut self, &mut calls);
        Ok(Recorded {
            arrivals: arrivals(&mut self),
            names: self.names,
            texts: self.texts,
            works: self.works,
            calls,
            notes: self.notes,
        })
    }
}

/// Infers a call for each invocation that has a parent invocation, but no recorded call between the two. The call gets the
/// times of the invocation.
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
        // Each sibling gets an inferred call of its own.
        collector.works[index].sibling = NONE;
        let above = &collector.works[parent as usize];
        // Clocks of two nodes differ, so the start is moved into the parent invocation.
        let start_ns = work.enqueue_ns.clamp(above.start_ns(), above.end_ns());
        collector.notes.inferred_calls += 1;
        collector.push(MadeCall {
            span_id: work.span_id,
            start_ns,
            end_ns: start_ns + work.response_ns,
            work: parent,
            callee: index as u32,
            node: ties.node,
            what: What::Request,
            facts: CallFacts::default(),
        })?;
    }
    Ok(())
}

/// Adds a call without a receiver for each request that made no calls and released its slot to sleep. This call stands for the
/// sleep. It comes after all own time, and before the wait for another slot.
fn add_sleeps(collector: &mut Collector) -> Result<(), TooMany> {
    let mut has_calls = vec![false; collector.works.len()];
    for call in &collector.calls {
        has_calls[call.work as usize] = true;
    }
    for (index, has_calls) in has_calls.into_iter().enumerate() {
        let (work, ties) = (&collector.works[index], &collector.ties[index]);
        let station = collector.names.instances[work.instance as usize].station;
        if has_calls || !station.is_released || ties.asleep_ns <= 0 {
            continue;
        }
        let end_ns = work.end_ns() - work.slot_wait_ns;
        let call = MadeCall {
            span_id: work.span_id,
            start_ns: (end_ns - ties.asleep_ns).max(work.start_ns()),
            end_ns,
            work: index as u32,
            callee: NONE,
            node: ties.node,
            what: What::Sleep,
            facts: CallFacts::default(),
        };
        collector.push(call)?;
    }
    Ok(())
}

/// Removes the slots of instances whose rows have no queue times. Marks the requests that need no slot: requests of instances
/// without slots, and requests that were answered before the queue.
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

/// Builds the call of a row, with the times on the way there and back.
fn connect(collector: &Collector, row: &MadeCall) -> Call {
    let duration_ns = (row.end_ns - row.start_ns).max(0);
    let is_message = row.what == What::Message;
    let (mut is_answered, mut out_ns, mut back_ns) = (false, 0, 0);
    if let Some(callee) = collector.works.get(row.callee as usize).filter(|_| !is_message) {
        let after_ns = (callee.enqueue_ns - row.start_ns).max(0);
        let is_near = same_clock(collector, row);
        let net_ns = duration_ns - callee.response_ns;
        is_answered = net_ns >= 0;
        if is_answered {
            out_ns = if is_near { after_ns.min(net_ns) } else { net_ns / 2 };
            back_ns = net_ns - out_ns;
        } else if is_near {
            // The caller did not wait for the end of the invocation.
            out_ns = after_ns;
        }
    }
    Call {
        span_id: row.span_id,
        start_ns: row.start_ns,
        end_ns: row.end_ns,
        out_ns,
        back_ns,
        work: row.work,
        callee: row.callee,
        is_answered,
        what: row.what,
        facts: row.facts,
    }
}

/// Whether the call and the invocation that it caused have timestamps from the same clock.
fn same_clock(collector: &Collector, row: &MadeCall) -> bool {
    let node = collector.ties.get(row.callee as usize).map(|ties| ties.node);
    let is_known = || collector.names.nodes[row.node as usize] != "unknown";
    node == Some(row.node) && is_known()
}

/// Sets the caller of each invocation. If two rows of calls lead to the same invocation, only the first one causes it.
fn link_callees(collector: &mut Collector, calls: &mut [Call]) {
    for (index, call) in calls.iter_mut().enumerate() {
        let is_second = collector
            .works
            .get(call.callee as usize)
            .is_some_and(|work| work.caller != NONE);
        if is_second {
            collector.notes.duplicates += 1;
            call.callee = NONE;
            call.is_answered = false;
        }
        let mut callee = call.callee;
        while let Some(work) = collector.works.get_mut(callee as usize) {
            work.caller = index as u32;
            callee = work.sibling;
        }
    }
}

/// All invocations that no recorded invocation called, in the order of their arrival.
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
            // If an invocation names a call that has no row, its caller is missing, so it is not a root.
            is_root: ties.parent.is_none()
                && Role::of_invocation(ties.has_caller, ties.is_orphan) == Role::Invocation,
            is_left_out: false,
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
