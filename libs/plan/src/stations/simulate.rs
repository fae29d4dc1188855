//! [`simulate`]: a discrete-event simulator of first-come, first-served stations.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::dependents::Dependents;
use super::model::{Arrival, Load};
use super::outcome::{Outcome, Simulation, State};
use super::platform::Platform;
use super::progress::{CallProgress, VisitProgress};
use super::server::ServerState;
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
    simulate_on(load, &Platform::recorded(load), failures).outcomes
}

/// As [`simulate_with`], on another platform: with other slots, CPUs and links.
pub fn simulate_on(load: &Load, platform: &Platform, failures: Failures) -> Simulation {
    let mut simulator = Simulator::new(load, platform, failures);
    simulator.run();
    let held_ns = simulator.stations.iter().map(|station| station.held_ns);
    let worked_ns = simulator.servers.iter().map(|server| server.worked_ns);
    let waited_ns = simulator.servers.iter().map(ServerState::waited_ns);
    Simulation {
        held_ns: held_ns.collect(),
        worked_ns: worked_ns.collect(),
        waited_ns: waited_ns.collect(),
        outcomes: simulator.outcomes,
    }
}

/// Kinds of events. Events at the same time are handled in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A job of a server ends, unless later jobs have delayed it.
    Served,
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
    /// The thread of a slot is awake: the work before a call, or before the answer of a visit, begins.
    WorkForCall,
    WorkForAnswer,
}

/// Ordered by time, kind and index.
type Event = (i64, Kind, u32);

/// The state of the simulation at one moment.
pub(super) struct Simulator<'l> {
    pub(super) load: &'l Load,
    pub(super) failures: Failures,
    pub(super) platform: &'l Platform,
    stations: Vec<StationState>,
    pub(super) servers: Vec<ServerState>,
    pub(super) visits: Vec<VisitProgress>,
    pub(super) calls: Vec<CallProgress>,
    pub(super) dependents: Dependents,
    /// Future events, except the arrivals from outside.
    pub(super) events: BinaryHeap<Reverse<Event>>,
    pub(super) outcomes: Vec<Outcome>,
}

/// The state of a station at one moment.
struct StationState {
    station: Station,
    busy: u32,
    queue: VecDeque<u32>,
    /// Time for which slots were busy, of all slots together, until `counted_ns`.
    held_ns: i64,
    counted_ns: i64,
}

impl<'l> Simulator<'l> {
    fn new(load: &'l Load, platform: &'l Platform, failures: Failures) -> Self {
        let stations = platform.hosts.iter().map(|host| StationState {
            station: host.station,
            busy: 0,
            queue: VecDeque::new(),
            held_ns: 0,
            counted_ns: 0,
        });
        let servers = platform.servers.iter();
        Self {
            load,
            failures,
            platform,
            stations: stations.collect(),
            servers: servers.map(|server| ServerState::new(server.capacity)).collect(),
            visits: VisitProgress::all(load, platform),
            calls: CallProgress::all(load),
            dependents: Dependents::new(load),
            events: BinaryHeap::new(),
            outcomes: vec![Outcome::default(); load.visits.len()],
        }
    }

    fn run(&mut self) {
        let arrivals = self.arrivals();
        let mut arrivals = arrivals.iter().peekable();
        loop {
            let inner = self.events.peek().map(|Reverse(event)| *event);
            let outer = arrivals.peek();
            let outer = outer.map(|(at_ns, visit)| (*at_ns, Kind::Arrive, *visit));
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
            Kind::Served => self.served(index, now),
            Kind::End => self.end(index, now),
            Kind::CallEnd => self.call_end(index, now),
            Kind::Leave => self.leave(index, now),
            Kind::CallStart => self.call_start(index, now),
            Kind::Arrive => self.arrive(index, now),
            Kind::WorkForCall => self.begin_work_for_call(index, now),
            Kind::WorkForAnswer => self.begin_work_for_answer(index, now),
        }
    }

    /// When each root arrives at its station, in the order of these times.
    fn arrivals(&self) -> Vec<(i64, u32)> {
        let at = |arrival: &Arrival| {
            let [out_ns, _] = self.platform.outside_ns(self.load, arrival);
            arrival.at_ns.saturating_add(out_ns - arrival.out_ns)
        };
        let arrivals = self.load.arrivals.iter();
        let mut arrivals: Vec<_> = arrivals.map(|arrival| (at(arrival), arrival.visit)).collect();
        // Stable: roots at the same time stay in the order of the load.
        arrivals.sort_by_key(|(at_ns, _)| *at_ns);
        arrivals
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
            station.count(now);
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
        self.work_beside(visit, start_ns);
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
            None => {
                station.count(now);
                station.busy -= 1;
            }
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
    /// Adds the time for which slots were busy since the last change.
    fn count(&mut self, now: i64) {
        let passed_ns = now.saturating_sub(self.counted_ns);
        let held_ns = i64::from(self.busy).saturating_mul(passed_ns);
        self.held_ns = self.held_ns.saturating_add(held_ns);
        self.counted_ns = now;
    }

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
