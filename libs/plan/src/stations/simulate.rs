//! [`simulate`]: an event simulator of first-come, first-served stations.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::dependents::Dependents;
use super::outcome::{Outcome, State};
use crate::work::{Arrival, Ending, NONE, Place, Station, Waited, Works};

/// Simulates all arrivals with everything that they cause. The result has one entry per invocation.
///
/// Events at the same time are handled in this order: ends of invocations, ends of calls, releases of slots for calls, starts of
/// calls, arrivals at stations; among each, in the order of the rows. If nothing takes time between an event and the
/// next one, that one has the same time, and is handled next if it comes first in this order.
pub fn simulate(works: &Works) -> Vec<Outcome> {
    simulate_with(works, Refusals::ByQueue)
}

/// The rule by which requests are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusals {
    /// A request that finds the queue full.
    ByQueue,
    /// The requests that were refused when they were recorded. Whether a queue is full can depend on microseconds, and one other
    /// refusal changes the waits of all requests until the queue is empty. So recorded waits are compared in this way.
    AsRecorded,
}

/// As [`simulate`], with a choice of the rule for refusals.
pub fn simulate_with(works: &Works, refusals: Refusals) -> Vec<Outcome> {
    let mut simulator = Simulator::new(works, refusals);
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
    /// A slot is released for a call.
    Leave,
    /// A call starts.
    CallStart,
    /// An invocation arrives at its station.
    Arrive,
}

/// Ordered by time, kind and index.
type Event = (i64, Kind, u32);

struct Simulator<'w> {
    works: &'w Works,
    refusals: Refusals,
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
    /// The first call of its group.
    group: u32,
    /// Calls of the group for which the group still waits.
    remaining: u32,
    /// When it was queued last.
    queued_ns: i64,
    holds_slot: bool,
    /// Whether it has had its first slot.
    has_started: bool,
}

impl<'w> Simulator<'w> {
    fn new(works: &'w Works, refusals: Refusals) -> Self {
        let stations = works.names.instances.iter().map(|instance| StationState {
            station: instance.station,
            busy: 0,
            queue: VecDeque::new(),
        });
        Self {
            works,
            refusals,
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
            Kind::Leave => self.leave(index, now),
            Kind::CallStart => self.call_start(index, now),
            Kind::Arrive => self.arrive(index, now),
        }
    }

    /// Adds an event. Far-off times are cut, so that rows with absurd ones cannot overflow.
    fn after(&mut self, now: i64, ns: i64, kind: Kind, index: u32) {
        self.events.push(Reverse((now.saturating_add(ns), kind, index)));
    }

    fn station(&mut self, work: u32) -> &mut StationState {
        &mut self.stations[self.works.works[work as usize].instance as usize]
    }

    fn arrive(&mut self, work: u32, now: i64) {
        self.outcomes[work as usize].enqueue_ns = now;
        self.progress[work as usize].queued_ns = now;
        let waited = self.works.works[work as usize].waited;
        let is_by_queue = self.refusals == Refusals::ByQueue;
        let station = self.station(work);
        let Some(slots) = station.station.slots.filter(|_| waited != Waited::Unknown) else {
            return self.start(work, now, false);
        };
        if !is_by_queue && waited == Waited::Refused {
            return self.refuse(work, now);
        }
        if station.busy < slots {
            station.busy += 1;
            return self.start(work, now, true);
        }
        let limit = station.station.queue_limit.unwrap_or(u32::MAX);
        if !is_by_queue || station.queue.len() < limit as usize {
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
        let recorded = &self.works.works[work as usize];
        // A thread that slept needs time to wake up. One that takes the next request after its last one does not, even if
        // the recorded request found a sleeping one.
        let setup_ns = |recorded_wait_ns: i64, setup_ns: i64| match holds_slot {
            true if recorded_wait_ns > 0 || waited_ns == 0 => setup_ns,
            _ => 0,
        };
        if std::mem::replace(&mut progress.has_started, true) {
            outcome.slot_wait_ns += waited_ns;
            let group = &self.works.calls[progress.group as usize];
            let setup_ns = setup_ns(group.slot_wait_ns, i64::from(group.setup_ns));
            return self.next_group(work, now.saturating_add(setup_ns));
        }
        let setup_ns = setup_ns(recorded.wait_ns, recorded.setup_ns);
        outcome.wait_ns = waited_ns;
        outcome.start_ns = now.saturating_add(setup_ns);
        let start_ns = outcome.start_ns;
        self.next_group(work, start_ns);
    }

    /// Begins the next group of calls, or the time after the last one.
    fn next_group(&mut self, work: u32, now: i64) {
        let recorded = &self.works.works[work as usize];
        let all = recorded.calls();
        let first = all.start + self.progress[work as usize].next_call as usize;
        let mut end = first;
        let mut is_left = !self.progress[work as usize].holds_slot || !self.station(work).station.is_released;
        while let Some(call) = self.works.calls.get(end).filter(|_| end < all.end) {
            if call.place == Place::After || (call.begins_group && end > first) {
                break;
            }
            if call.place == Place::Joined && !std::mem::replace(&mut is_left, true) {
                self.after(
                    now,
                    call.gap_ns - i64::from(call.early_ns),
                    Kind::Leave,
                    end as u32,
                );
            }
            if call.waits == 0 {
                self.after(now, call.gap_ns, Kind::CallStart, end as u32);
            }
            end += 1;
        }
        if end == first {
            return self.after(now, recorded.tail_ns, Kind::End, work);
        }
        let progress = &mut self.progress[work as usize];
        progress.next_call = (end - all.start) as u32;
        progress.group = first as u32;
        progress.remaining = (end - first) as u32;
    }

    fn call_start(&mut self, index: u32, now: i64) {
        let call = &self.works.calls[index as usize];
        let mut callee = call.callee;
        let first_ns = self.works.works.get(callee as usize).map(|work| work.enqueue_ns);
        while let (Some(work), Some(first_ns)) = (self.works.works.get(callee as usize), first_ns) {
            let later_ns = (work.enqueue_ns - first_ns).max(-call.out_ns);
            self.after(now, call.out_ns.saturating_add(later_ns), Kind::Arrive, callee);
            callee = work.sibling;
        }
        match call.place {
            Place::Joined if call.ending == Ending::Duration || call.callee == NONE => {
                self.after(now, call.duration_ns, Kind::CallEnd, index);
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
                self.after(now, gap_ns, Kind::CallStart, dependent);
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

    fn leave(&mut self, call: u32, now: i64) {
        self.free_slot(self.works.calls[call as usize].work, now);
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
        let outcome = &mut self.outcomes[work as usize];
        outcome.state = State::Served;
        outcome.end_ns = now;
        self.free_slot(work, now);
        self.answer(work, now);
        let after = self.works.works[work as usize].calls().rev();
        for index in after {
            let call = &self.works.calls[index];
            if call.place != Place::After {
                break;
            }
            self.after(now, call.gap_ns, Kind::CallStart, index as u32);
        }
    }

    fn answer(&mut self, work: u32, now: i64) {
        let caller = self.works.works[work as usize].caller;
        if let Some(call) = self.works.calls.get(caller as usize)
            && call.callee == work
            && call.ending == Ending::Answer
            && call.place == Place::Joined
        {
            self.after(now, call.back_ns, Kind::CallEnd, caller);
        }
    }
}
