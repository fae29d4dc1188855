//! [`simulate`]: an event simulator of first-come, first-served stations.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::dependents::Dependents;
use super::outcome::{Outcome, State};
use crate::work::{Arrival, Ending, NONE, Place, Station, Waited, Works};

/// Simulates all arrivals with everything that they cause. The result has one entry per invocation.
///
/// Events at the same time are handled in this order: ends of invocations, ends of calls, starts of calls, arrivals at
/// stations; among each, in the order of the rows. An event that has no duration before the next one adds that one at the same time,
/// and it is handled next if it comes first in this order.
pub fn simulate(works: &Works) -> Vec<Outcome> {
    let mut simulator = Simulator::new(works);
    simulator.run();
    simulator.outcomes
}

/// Events of one time are handled in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// An invocation ends.
    End,
    /// A call ends at its caller.
    CallEnd,
    /// A call starts.
    CallStart,
    /// An invocation arrives at its station.
    Arrive,
}

/// Ordered by time, kind and index.
type Event = (i64, Kind, u32);

struct Simulator<'w> {
    works: &'w Works,
    stations: Vec<StationState>,
    progress: Vec<Progress>,
    /// For each call: how many others it still waits for.
    pending: Vec<u32>,
    dependents: Dependents,
    /// Without the arrivals from outside, which are sorted.
    events: BinaryHeap<Reverse<Event>>,
    outcomes: Vec<Outcome>,
}

/// A station at one moment.
struct StationState {
    station: Station,
    busy: u32,
    queue: VecDeque<u32>,
}

/// An invocation at one moment.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// Its first call that has no group yet, as an offset from its first call.
    next_call: u32,
    /// Calls of the group for which the group still waits.
    remaining: u32,
    /// When it was queued last.
    queued_ns: i64,
    holds_slot: bool,
    /// Whether it has had its first slot.
    has_started: bool,
}

impl<'w> Simulator<'w> {
    fn new(works: &'w Works) -> Self {
        let stations = works.names.instances.iter().map(|instance| StationState {
            station: instance.station,
            busy: 0,
            queue: VecDeque::new(),
        });
        Self {
            works,
            stations: stations.collect(),
            progress: vec![Progress::default(); works.works.len()],
            pending: works.calls.iter().map(|call| call.waits).collect(),
            dependents: Dependents::new(works),
            events: BinaryHeap::new(),
            outcomes: vec![Outcome::default(); works.works.len()],
        }
    }

    fn run(&mut self) {
        let mut arrivals = self.works.arrivals.iter().peekable();
        let event_of = |arrival: &&Arrival| (arrival.at_ns, Kind::Arrive, arrival.work);
        loop {
            let inner = self.events.peek().map(|Reverse(event)| *event);
            let outer = arrivals.peek().map(event_of);
            let event = match (inner, outer) {
                (None, None) => return,
                (Some(inner), Some(outer)) if outer < inner => outer,
                (None, Some(outer)) => outer,
                (Some(inner), _) => inner,
            };
            if inner == Some(event) {
                self.events.pop();
            } else {
                arrivals.next();
            }
            self.handle(event);
        }
    }

    fn handle(&mut self, (now, kind, index): Event) {
        match kind {
            Kind::End => self.end(index, now),
            Kind::CallEnd => self.call_end(index, now),
            Kind::CallStart => self.call_start(index, now),
            Kind::Arrive => self.arrive(index, now),
        }
    }

    fn at(&mut self, time: i64, kind: Kind, index: u32) {
        self.events.push(Reverse((time, kind, index)));
    }

    fn station(&mut self, work: u32) -> &mut StationState {
        &mut self.stations[self.works.works[work as usize].instance as usize]
    }

    fn arrive(&mut self, work: u32, now: i64) {
        self.outcomes[work as usize].enqueue_ns = now;
        self.progress[work as usize].queued_ns = now;
        let needs_slot = self.works.works[work as usize].waited != Waited::Unknown;
        let station = self.station(work);
        let Some(slots) = station.station.slots.filter(|_| needs_slot) else {
            return self.start(work, now, false);
        };
        if station.busy < slots {
            station.busy += 1;
            return self.start(work, now, true);
        }
        let limit = station.station.queue_limit.unwrap_or(u32::MAX);
        if station.queue.len() < limit as usize {
            station.queue.push_back(work);
        } else {
            self.refuse(work, now);
        }
    }

    /// Answers at once, without any of its work.
    fn refuse(&mut self, work: u32, now: i64) {
        let outcome = &mut self.outcomes[work as usize];
        outcome.state = State::Refused;
        outcome.start_ns = now;
        outcome.end_ns = now;
        self.answer(work, now);
    }

    /// The invocation starts, or continues after a call, now that it has a slot or needs none.
    fn start(&mut self, work: u32, now: i64, holds_slot: bool) {
        let progress = &mut self.progress[work as usize];
        progress.holds_slot = holds_slot;
        let waited_ns = now - progress.queued_ns;
        let outcome = &mut self.outcomes[work as usize];
        if std::mem::replace(&mut progress.has_started, true) {
            outcome.slot_wait_ns += waited_ns;
            return self.next_group(work, now);
        }
        let recorded = &self.works.works[work as usize];
        // A thread that slept needs time to wake up. One that takes the next request after its last one does not, even if
        // the recorded request found a sleeping one.
        let found_sleeper = recorded.wait_ns == 0;
        let setup_ns = match holds_slot && !(found_sleeper && waited_ns > 0) {
            true => recorded.setup_ns,
            false => 0,
        };
        outcome.state = State::Served;
        outcome.wait_ns = waited_ns;
        outcome.start_ns = now + setup_ns;
        let start_ns = outcome.start_ns;
        self.next_group(work, start_ns);
    }

    /// Begins the next group of calls, or the time after the last one.
    fn next_group(&mut self, work: u32, now: i64) {
        let recorded = &self.works.works[work as usize];
        let all = recorded.calls();
        let first = all.start + self.progress[work as usize].next_call as usize;
        let mut end = first;
        while let Some(call) = self.works.calls.get(end).filter(|_| end < all.end) {
            if call.place == Place::After || (call.begins_group && end > first) {
                break;
            }
            if call.waits == 0 {
                self.at(now + call.gap_ns, Kind::CallStart, end as u32);
            }
            end += 1;
        }
        if end == first {
            return self.at(now + recorded.tail_ns, Kind::End, work);
        }
        let progress = &mut self.progress[work as usize];
        progress.next_call = (end - all.start) as u32;
        progress.remaining = (end - first) as u32;
    }

    fn call_start(&mut self, index: u32, now: i64) {
        let call = &self.works.calls[index as usize];
        if call.place == Place::Joined {
            self.release_for_call(call.work, now);
        }
        let mut callee = call.callee;
        let first_ns = self.works.works.get(callee as usize).map(|work| work.enqueue_ns);
        while let (Some(work), Some(first_ns)) = (self.works.works.get(callee as usize), first_ns) {
            let later_ns = (work.enqueue_ns - first_ns).max(-call.out_ns);
            self.at(now + call.out_ns + later_ns, Kind::Arrive, callee);
            callee = work.sibling;
        }
        match call.place {
            Place::Joined if call.ending == Ending::Duration || call.callee == NONE => {
                self.at(now + call.duration_ns, Kind::CallEnd, index);
            }
            Place::Detached => self.leave_group(call.work, now),
            Place::Joined | Place::After => {}
        }
    }

    fn call_end(&mut self, index: u32, now: i64) {
        let works = self.works;
        for place in self.dependents.of(index) {
            let dependent = self.dependents.list[place];
            let pending = &mut self.pending[dependent as usize];
            *pending = pending.saturating_sub(1);
            if *pending == 0 {
                let gap_ns = works.calls[dependent as usize].gap_ns;
                self.at(now + gap_ns, Kind::CallStart, dependent);
            }
        }
        self.leave_group(works.calls[index as usize].work, now);
    }

    /// One call less for which the group waits. After the last one, the invocation continues as soon as it has a slot.
    fn leave_group(&mut self, work: u32, now: i64) {
        let progress = &mut self.progress[work as usize];
        progress.remaining -= 1;
        if progress.remaining > 0 {
            return;
        }
        progress.queued_ns = now;
        let holds_slot = progress.holds_slot;
        let needs_slot = self.works.works[work as usize].waited != Waited::Unknown;
        let station = self.station(work);
        let Some(slots) = station.station.slots.filter(|_| needs_slot && !holds_slot) else {
            return self.next_group(work, now);
        };
        // The queue limit is for new requests only.
        if station.busy < slots {
            station.busy += 1;
            self.start(work, now, true);
        } else {
            station.queue.push_back(work);
        }
    }

    fn release_for_call(&mut self, work: u32, now: i64) {
        let holds_slot = self.progress[work as usize].holds_slot;
        if holds_slot && self.station(work).station.is_released {
            self.free_slot(work, now);
        }
    }

    /// Passes the slot to the request that has waited longest.
    fn free_slot(&mut self, work: u32, now: i64) {
        if !std::mem::take(&mut self.progress[work as usize].holds_slot) {
            return;
        }
        let station = self.station(work);
        match station.queue.pop_front() {
            Some(next) => self.start(next, now, true),
            None => station.busy -= 1,
        }
    }

    fn end(&mut self, work: u32, now: i64) {
        self.outcomes[work as usize].end_ns = now;
        self.free_slot(work, now);
        self.answer(work, now);
        let after = self.works.works[work as usize].calls().rev();
        for index in after {
            let call = &self.works.calls[index];
            if call.place != Place::After {
                break;
            }
            self.at(now + call.gap_ns, Kind::CallStart, index as u32);
        }
    }

    fn answer(&mut self, work: u32, now: i64) {
        let caller = self.works.works[work as usize].caller;
        if let Some(call) = self.works.calls.get(caller as usize)
            && call.callee == work
            && call.ending == Ending::Answer
            && call.place == Place::Joined
        {
            self.at(now + call.back_ns, Kind::CallEnd, caller);
        }
    }
}
