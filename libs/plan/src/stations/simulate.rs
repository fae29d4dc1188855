//! [`simulate`]: a discrete-event simulator of first-come, first-served stations.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::dependents::Dependents;
use super::model::Load;
use super::outcome::{Outcome, State};
use super::progress::{CallProgress, VisitProgress};
use crate::work::{NONE, Station, Waited};

/// Simulates all arrivals and everything that they cause. The result has one entry per visit.
///
/// Events at the same time are handled in the order of [`Kind`], and events of one kind in the order of the load. An event can
/// cause another event at the same time; this event also takes its place in the order.
pub fn simulate(load: &Load) -> Vec<Outcome> {
    simulate_with(load, Failures::Simulated)
}

/// The rule that decides which requests are refused, which calls time out, and which retries are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failures {
    /// The simulation decides: a request that finds the queue full is refused, a call that lasts too long times out, and a
    /// retry is sent if its earlier attempt failed.
    Simulated,
    /// Failures happen exactly as recorded. Whether a queue is full or a call takes too long can depend on microseconds, and
    /// one different failure changes the waits of all requests until the queue is empty. So this rule is used to compare
    /// simulated waits with recorded ones.
    AsRecorded,
}

/// Like [`simulate`], with a choice of the rule for failures.
pub fn simulate_with(load: &Load, failures: Failures) -> Vec<Outcome> {
    let mut simulator = Simulator::new(load, failures);
    simulator.run();
    simulator.outcomes
}

/// Kinds of events. Events at the same time are handled in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A visit answers.
    End,
    /// A call ends at its caller.
    CallEnd,
    /// The own work before a call ends. The visit may then release its slot.
    Leave,
    /// A call starts.
    CallStart,
    /// A request arrives at its station.
    Arrive,
}

/// Ordered by time, kind and index.
type Event = (i64, Kind, u32);

/// The state of the simulation at one moment.
pub(super) struct Simulator<'l> {
    pub(super) load: &'l Load,
    pub(super) failures: Failures,
    stations: Vec<StationState>,
    pub(super) visits: Vec<VisitProgress>,
    pub(super) calls: Vec<CallProgress>,
    pub(super) dependents: Dependents,
    /// Future events, except the arrivals from outside, which are already sorted in the load.
    events: BinaryHeap<Reverse<Event>>,
    pub(super) outcomes: Vec<Outcome>,
}

/// The state of a station at one moment.
struct StationState {
    station: Station,
    busy: u32,
    queue: VecDeque<u32>,
}

impl<'l> Simulator<'l> {
    fn new(load: &'l Load, failures: Failures) -> Self {
        let stations = load.names.instances.iter().map(|instance| StationState {
            station: instance.station,
            busy: 0,
            queue: VecDeque::new(),
        });
        Self {
            load,
            failures,
            stations: stations.collect(),
            visits: VisitProgress::all(load),
            calls: CallProgress::all(load),
            dependents: Dependents::new(load),
            events: BinaryHeap::new(),
            outcomes: vec![Outcome::default(); load.visits.len()],
        }
    }

    fn run(&mut self) {
        let mut arrivals = self.load.arrivals.iter().peekable();
        loop {
            let inner = self.events.peek().map(|Reverse(event)| *event);
            let outer = arrivals.peek();
            let outer = outer.map(|arrival| (arrival.at_ns, Kind::Arrive, arrival.visit));
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

    /// Schedules an event `ns` after `now`. Very late times are clamped, so that invalid rows cannot cause an overflow.
    pub(super) fn after(&mut self, now: i64, ns: i64, kind: Kind, index: u32) {
        self.events.push(Reverse((now.saturating_add(ns), kind, index)));
    }

    fn station(&mut self, visit: u32) -> &mut StationState {
        &mut self.stations[self.load.visits[visit as usize].instance as usize]
    }

    fn arrive(&mut self, visit: u32, now: i64) {
        self.outcomes[visit as usize].enqueue_ns = now;
        self.visits[visit as usize].queued_ns = now;
        if !self.visits[visit as usize].needs_slot {
            return self.start(visit, now);
        }
        let was_refused = self.load.visits[visit as usize].waited == Waited::Refused;
        let is_simulated = self.failures == Failures::Simulated;
        if !is_simulated && was_refused {
            return self.refuse(visit, now);
        }
        let station = self.station(visit);
        let limit = station.station.queue_limit.filter(|_| is_simulated);
        let has_room = limit.is_none_or(|limit| station.queue.len() < limit as usize);
        if station.has_free_slot() || has_room {
            self.queue(visit, now);
        } else {
            self.refuse(visit, now);
        }
    }

    /// Gives a visit a free slot, or queues it.
    fn queue(&mut self, visit: u32, now: i64) {
        let station = self.station(visit);
        if station.has_free_slot() {
            station.busy += 1;
            self.assign(visit, now);
        } else {
            station.queue.push_back(visit);
        }
    }

    fn assign(&mut self, visit: u32, now: i64) {
        self.visits[visit as usize].holds_slot = true;
        match self.visits[visit as usize].has_started {
            true => self.resume(visit, now),
            false => self.start(visit, now),
        }
    }

    /// Answers a visit at once with a refusal. It does none of its work.
    fn refuse(&mut self, visit: u32, now: i64) {
        let outcome = &mut self.outcomes[visit as usize];
        outcome.state = State::Refused;
        outcome.start_ns = now;
        outcome.end_ns = now;
        let progress = &mut self.visits[visit as usize];
        progress.has_answered = true;
        progress.has_failed = true;
        self.answer_ends_call(visit, now, now);
    }

    /// Starts a visit that has a slot, or needs none.
    fn start(&mut self, visit: u32, now: i64) {
        let recorded = &self.load.visits[visit as usize];
        let progress = &mut self.visits[visit as usize];
        let waited_ns = now - progress.queued_ns;
        let setup_ns = setup_ns(recorded.setup_ns, recorded.wait_ns, waited_ns);
        let start_ns = now.saturating_add(if progress.holds_slot { setup_ns } else { 0 });
        progress.has_started = true;
        progress.awake_ns = start_ns;
        let outcome = &mut self.outcomes[visit as usize];
        outcome.wait_ns = waited_ns;
        outcome.start_ns = start_ns;
        for call in recorded.calls() {
            if self.load.calls[call].is_after_answer {
                break;
            }
            if self.calls[call].pending.one_less() {
                self.work_for_call(call as u32, now);
            }
        }
        if self.visits[visit as usize].answer.one_less() {
            self.work_for_answer(visit, now);
        }
    }

    /// Continues a visit that has got another slot after calls.
    fn resume(&mut self, visit: u32, now: i64) {
        let progress = &mut self.visits[visit as usize];
        let waited_ns = now - progress.queued_ns;
        let wait = match self.load.calls.get(progress.back_for as usize) {
            Some(call) => &call.wait,
            None => &self.load.visits[visit as usize].answer,
        };
        let setup_ns = setup_ns(i64::from(wait.setup_ns), wait.slot_wait_ns, waited_ns);
        progress.awake_ns = now.saturating_add(setup_ns);
        progress.is_back = false;
        let mut ready = std::mem::replace(&mut progress.ready, NONE);
        let is_answer_ready = std::mem::take(&mut progress.is_answer_ready);
        self.outcomes[visit as usize].slot_wait_ns += waited_ns;
        while ready != NONE {
            self.work_for_call(ready, now);
            ready = std::mem::replace(&mut self.calls[ready as usize].next_ready, NONE);
        }
        if is_answer_ready {
            self.work_for_answer(visit, now);
        }
    }

    /// Begins the own work before a call.
    fn work_for_call(&mut self, index: u32, now: i64) {
        let call = &self.load.calls[index as usize];
        let progress = &mut self.visits[call.visit as usize];
        progress.working += 1;
        let start_ns = now.max(progress.awake_ns).saturating_add(call.wait.gap_ns);
        if progress.is_released {
            self.after(start_ns, -i64::from(call.early_ns), Kind::Leave, index);
        }
        self.after(start_ns, 0, Kind::CallStart, index);
    }

    /// Begins the own work before the answer. This fixes the end of the visit, so an answer that arrives before the end can be
    /// scheduled.
    fn work_for_answer(&mut self, visit: u32, now: i64) {
        let progress = &mut self.visits[visit as usize];
        progress.working += 1;
        let gap_ns = self.load.visits[visit as usize].answer.gap_ns;
        let end_ns = now.max(progress.awake_ns).saturating_add(gap_ns);
        self.after(end_ns, 0, Kind::End, visit);
        if self.is_ahead(visit) {
            self.answer_ends_call(visit, end_ns, now);
        }
    }

    fn is_ahead(&self, visit: u32) -> bool {
        let caller = self.load.visits[visit as usize].caller;
        let caller = self.load.calls.get(caller as usize);
        caller.is_some_and(|call| call.ahead_ns > 0)
    }

    /// Handles the moment at which all calls have ended for which a call waits.
    pub(super) fn call_is_ready(&mut self, index: u32, now: i64) {
        let call = &self.load.calls[index as usize];
        let progress = &mut self.visits[call.visit as usize];
        if progress.has_answered {
            self.after(now, call.wait.gap_ns, Kind::CallStart, index);
        } else if progress.can_work() {
            self.work_for_call(index, now);
        } else {
            self.calls[index as usize].next_ready = std::mem::replace(&mut progress.ready, index);
            self.come_back(call.visit, index, now);
        }
    }

    /// Handles the moment at which all calls have ended for which an answer waits.
    pub(super) fn answer_is_ready(&mut self, visit: u32, now: i64) {
        let progress = &mut self.visits[visit as usize];
        if progress.can_work() {
            self.work_for_answer(visit, now);
        } else {
            progress.is_answer_ready = true;
            self.come_back(visit, NONE, now);
        }
    }

    /// Queues a visit again for another slot, which it needs for a call or for the answer. The queue limit applies only to new
    /// requests.
    fn come_back(&mut self, visit: u32, back_for: u32, now: i64) {
        let progress = &mut self.visits[visit as usize];
        if !std::mem::replace(&mut progress.is_back, true) {
            progress.back_for = back_for;
            progress.queued_ns = now;
            self.queue(visit, now);
        }
    }

    /// Ends the own work before a call. The visit keeps its slot if other own work is still in progress.
    fn leave(&mut self, call: u32, now: i64) {
        let visit = self.load.calls[call as usize].visit;
        let progress = &mut self.visits[visit as usize];
        progress.working -= 1;
        if progress.working == 0 {
            self.free_slot(visit, now);
        }
    }

    /// Passes the slot to the request that has waited longest.
    fn free_slot(&mut self, visit: u32, now: i64) {
        if !std::mem::take(&mut self.visits[visit as usize].holds_slot) {
            return;
        }
        let station = self.station(visit);
        match station.queue.pop_front() {
            Some(next) => self.assign(next, now),
            None => station.busy -= 1,
        }
    }

    fn end(&mut self, visit: u32, now: i64) {
        let outcome = &mut self.outcomes[visit as usize];
        outcome.state = State::Served;
        outcome.end_ns = now;
        let has_failed = self.would_fail(visit);
        let progress = &mut self.visits[visit as usize];
        progress.has_answered = true;
        progress.has_failed = has_failed;
        self.free_slot(visit, now);
        if !self.is_ahead(visit) {
            self.answer_ends_call(visit, now, now);
        }
        for index in self.load.visits[visit as usize].calls().rev() {
            if !self.load.calls[index].is_after_answer {
                break;
            }
            if self.calls[index].pending.one_less() {
                self.call_is_ready(index as u32, now);
            }
        }
    }
}

impl StationState {
    fn has_free_slot(&self) -> bool {
        self.busy < self.station.slots.unwrap_or(u32::MAX)
    }
}

/// The wake-up time of a slot's thread. A sleeping thread needs time to wake up. A thread that takes a waiting request right
/// after another one does not, even if the thread was asleep in the recording.
fn setup_ns(setup_ns: i64, recorded_wait_ns: i64, waited_ns: i64) -> i64 {
    match recorded_wait_ns > 0 || waited_ns == 0 {
        true => setup_ns,
        false => 0,
    }
}
