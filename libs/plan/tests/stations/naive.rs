//! A second simulator, which is slow and simple on purpose. In each step, it searches the whole state for the next event. It
//! has no queue, no counters and no list of events: everything is computed from the times so far.

use plan::plan::Ends;
use plan::stations::{Fails, Failures, Load, Outcome, State, Wait};
use plan::work::{NONE, Waited};

#[derive(Debug, Clone, Default)]
struct Visited {
    enqueue: Option<i64>,
    refused: bool,
    /// The time since which it waits for a slot, and its number among all visits that have ever waited.
    waits_since: Option<(i64, usize)>,
    /// The wake-up time after this wait, and whether the recorded request waited.
    setup: (i64, bool),
    awake: i64,
    start: Option<i64>,
    wait: i64,
    slot_wait: i64,
    /// The time at which the work before the answer began, and the time at which this was known.
    answers: Option<(i64, i64)>,
    end: Option<i64>,
    failed: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Called {
    /// The time at which the work before the call began.
    begin: Option<i64>,
    /// Whether this work needs no slot any more.
    left: bool,
    start: Option<i64>,
    end: Option<i64>,
    failed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    free_since: i64,
    holder: Option<u32>,
}

pub struct Naive<'l> {
    load: &'l Load,
    failures: Failures,
    visits: Vec<Visited>,
    calls: Vec<Called>,
    slots: Vec<Vec<Slot>>,
    waited: usize,
}

/// The kinds of events. Events at the same time occur in the order of the variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    End(u32),
    CallEnd(u32),
    Leave(u32),
    CallStart(u32),
    Arrive(u32),
}

/// The results of all visits, and the starts and ends of calls.
pub struct Happened {
    pub outcomes: Vec<Outcome>,
    pub starts: Vec<Option<i64>>,
    pub ends: Vec<Option<i64>>,
}

pub fn simulate(load: &Load, failures: Failures) -> Happened {
    let slots = load.names.instances.iter().map(|instance| {
        let free = Slot {
            free_since: i64::MIN,
            holder: None,
        };
        vec![free; instance.station.slots.unwrap_or(0) as usize]
    });
    let mut naive = Naive {
        load,
        failures,
        visits: vec![Visited::default(); load.visits.len()],
        calls: vec![Called::default(); load.calls.len()],
        slots: slots.collect(),
        waited: 0,
    };
    while let Some((now, step)) = naive.next() {
        naive.take(now, step);
        naive.begin_work(now);
    }
    Happened {
        outcomes: naive.visits.iter().map(outcome).collect(),
        starts: naive.calls.iter().map(|call| call.start).collect(),
        ends: naive.calls.iter().map(|call| call.end).collect(),
    }
}

impl Naive<'_> {
    fn next(&self) -> Option<(i64, Step)> {
        let calls = 0..self.load.calls.len() as u32;
        let visits = 0..self.load.visits.len() as u32;
        let ends = visits
            .clone()
            .filter_map(|visit| Some((self.end_of(visit)?, Step::End(visit))));
        let arrivals = visits.filter_map(|visit| Some((self.arrival_of(visit)?, Step::Arrive(visit))));
        let of_calls = calls.flat_map(|call| {
            [
                self.call_end_of(call).map(|at| (at, Step::CallEnd(call))),
                self.leave_of(call).map(|at| (at, Step::Leave(call))),
                self.call_start_of(call).map(|at| (at, Step::CallStart(call))),
            ]
        });
        ends.chain(arrivals).chain(of_calls.flatten()).min()
    }

    fn end_of(&self, visit: u32) -> Option<i64> {
        let visited = &self.visits[visit as usize];
        let (begin, _) = visited.answers.filter(|_| visited.end.is_none())?;
        Some(begin + self.load.visits[visit as usize].answer.gap_ns)
    }

    fn arrival_of(&self, visit: u32) -> Option<i64> {
        if self.visits[visit as usize].enqueue.is_some() {
            return None;
        }
        let caller = self.load.visits[visit as usize].caller;
        if caller == NONE {
            let mut roots = self.load.arrivals.iter();
            return roots.find(|root| root.visit == visit).map(|root| root.at_ns);
        }
        let (call, called) = (&self.load.calls[caller as usize], &self.calls[caller as usize]);
        let from = match call.is_message {
            true => called.end.filter(|_| called.start.is_some())?,
            false => called.start? + call.out_ns,
        };
        Some(from + self.load.visits[visit as usize].delay_ns)
    }

    fn call_start_of(&self, call: u32) -> Option<i64> {
        let called = &self.calls[call as usize];
        let begin = called.begin.filter(|_| called.start.is_none())?;
        Some(begin + self.load.calls[call as usize].wait.gap_ns)
    }

    fn leave_of(&self, call: u32) -> Option<i64> {
        let called = &self.calls[call as usize];
        let begin = called.begin.filter(|_| !called.left)?;
        let call = &self.load.calls[call as usize];
        Some(begin + call.wait.gap_ns - i64::from(call.early_ns))
    }

    fn call_end_of(&self, index: u32) -> Option<i64> {
        let (call, called) = (&self.load.calls[index as usize], &self.calls[index as usize]);
        if called.end.is_some() {
            return None;
        }
        let Some(start) = called.start else {
            // This retry is not needed.
            let attempt = self.calls.get(call.retry_of as usize)?;
            let is_needed = attempt.failed || self.failures == Failures::AsRecorded;
            return attempt.end.filter(|_| !is_needed);
        };
        match call.ends {
            Ends::Duration(ns) => Some(start + ns),
            Ends::Timeout(ns) if self.failures == Failures::AsRecorded => Some(start + ns),
            Ends::Timeout(ns) => {
                let answered = self.visits[call.callee as usize]
                    .end
                    .map(|end| end + call.back_ns);
                Some(answered.unwrap_or(i64::MAX).min(start + ns))
            }
            Ends::Answer => {
                let callee = &self.visits[call.callee as usize];
                let at = |end: i64| end + call.back_ns - call.ahead_ns;
                if call.ahead_ns == 0 || callee.refused {
                    return callee.end.map(|end| at(end).max(end));
                }
                let (begin, known) = callee.answers?;
                let end = begin + self.load.visits[call.callee as usize].answer.gap_ns;
                Some(at(end).max(known))
            }
        }
    }

    fn take(&mut self, now: i64, step: Step) {
        match step {
            Step::End(visit) => {
                self.visits[visit as usize].failed = self.would_fail(visit);
                self.visits[visit as usize].end = Some(now);
                self.free(visit, now);
            }
            Step::CallEnd(call) => {
                let is_started = self.calls[call as usize].start.is_some();
                self.calls[call as usize].failed = is_started && self.has_failed(call, now);
                self.calls[call as usize].end = Some(now);
            }
            Step::Leave(call) => {
                self.calls[call as usize].left = true;
                let visit = self.load.calls[call as usize].visit;
                let mut of_visit = self.load.visits[visit as usize].calls();
                let works = of_visit.any(|call| self.calls[call].begin.is_some() && !self.calls[call].left);
                if !works && self.visits[visit as usize].answers.is_none() {
                    self.free(visit, now);
                }
            }
            Step::CallStart(call) => self.calls[call as usize].start = Some(now),
            Step::Arrive(visit) => self.arrive(visit, now),
        }
    }

    fn has_failed(&self, index: u32, now: i64) -> bool {
        let call = &self.load.calls[index as usize];
        let callee_fails = || match self.visits[call.callee as usize].end {
            Some(_) => self.visits[call.callee as usize].failed,
            None => self.would_fail(call.callee),
        };
        match call.ends {
            Ends::Duration(_) => call.is_failed,
            Ends::Answer => callee_fails(),
            Ends::Timeout(_) => {
                let end = self.visits[call.callee as usize].end;
                end.is_none_or(|end| end + call.back_ns > now) || callee_fails()
            }
        }
    }

    fn would_fail(&self, visit: u32) -> bool {
        let visit = &self.load.visits[visit as usize];
        match visit.fails {
            Fails::Never => false,
            Fails::Always => true,
            Fails::WithCalls => visit
                .calls()
                .any(|call| self.calls[call].failed && self.load.calls[call].fails_visit),
        }
    }

    fn needs_slot(&self, visit: u32) -> bool {
        let visit = &self.load.visits[visit as usize];
        let station = self.load.names.instances[visit.instance as usize].station;
        station.slots.is_some() && visit.waited != Waited::Unknown
    }

    fn holds_slot(&self, visit: u32) -> bool {
        let instance = self.load.visits[visit as usize].instance as usize;
        self.slots[instance].iter().any(|slot| slot.holder == Some(visit))
    }

    /// Begins all work whose conditions are met.
    fn begin_work(&mut self, now: i64) {
        for visit in 0..self.load.visits.len() as u32 {
            for call in self.load.visits[visit as usize].calls() {
                let (planned, called) = (&self.load.calls[call], self.calls[call]);
                let is_open = called.begin.is_none() && called.end.is_none();
                if is_open && self.is_met(visit, &planned.wait, planned.is_after_answer, planned.retry_of) {
                    let is_answered = self.visits[visit as usize].end.is_some();
                    if let Some(begin) = self.begin(visit, &planned.wait, now) {
                        self.calls[call].begin = Some(begin);
                        let instance = self.load.visits[visit as usize].instance as usize;
                        let station = self.load.names.instances[instance].station;
                        let is_released = self.needs_slot(visit) && station.is_released;
                        self.calls[call].left = is_answered || !is_released;
                    }
                }
            }
            let answer = self.load.visits[visit as usize].answer;
            let is_open = self.visits[visit as usize].answers.is_none();
            if is_open
                && self.is_met(visit, &answer, false, NONE)
                && let Some(begin) = self.begin(visit, &answer, now)
            {
                self.visits[visit as usize].answers = Some((begin, now));
            }
        }
    }

    /// Whether everything has happened that a call or an answer waits for.
    fn is_met(&self, visit: u32, wait: &Wait, is_after_answer: bool, retry_of: u32) -> bool {
        let visited = &self.visits[visit as usize];
        let (after, any_of) = wait.of(&self.load.waits_for);
        let has_ended = |call: &&u32| self.calls[**call as usize].end.is_some();
        let is_wanted = |attempt: &Called| attempt.failed || self.failures == Failures::AsRecorded;
        visited.start.is_some()
            && (visited.end.is_some() || !is_after_answer)
            && after.iter().filter(has_ended).count() == after.len()
            && any_of.iter().filter(has_ended).count() >= usize::from(wait.need)
            && self.calls.get(retry_of as usize).is_none_or(is_wanted)
    }

    /// The time at which work can begin. `None` if the visit has to wait for a slot.
    fn begin(&mut self, visit: u32, wait: &Wait, now: i64) -> Option<i64> {
        if self.visits[visit as usize].end.is_some() {
            return Some(now);
        }
        if self.needs_slot(visit) && !self.holds_slot(visit) {
            if self.visits[visit as usize].waits_since.is_none() {
                self.queue(visit, now, (i64::from(wait.setup_ns), wait.slot_wait_ns > 0));
                self.assign(self.load.visits[visit as usize].instance as usize, now);
            }
            if !self.holds_slot(visit) {
                return None;
            }
        }
        Some(now.max(self.visits[visit as usize].awake))
    }

    fn arrive(&mut self, visit: u32, now: i64) {
        self.visits[visit as usize].enqueue = Some(now);
        let planned = &self.load.visits[visit as usize];
        let instance = planned.instance as usize;
        if !self.needs_slot(visit) {
            self.visits[visit as usize].start = Some(now);
            self.visits[visit as usize].awake = now;
            return;
        }
        let is_busy = self.slots[instance].iter().all(|slot| slot.holder.is_some());
        let waiting = (0..self.load.visits.len())
            .filter(|other| self.load.visits[*other].instance as usize == instance)
            .filter(|other| self.visits[*other].waits_since.is_some())
            .count();
        let limit = self.load.names.instances[instance].station.queue_limit;
        let is_refused = match self.failures {
            Failures::AsRecorded => planned.waited == Waited::Refused,
            Failures::Simulated => is_busy && limit.is_some_and(|limit| waiting >= limit as usize),
        };
        if is_refused {
            let visited = &mut self.visits[visit as usize];
            (visited.refused, visited.failed) = (true, true);
            visited.end = Some(now);
            return;
        }
        self.queue(visit, now, (planned.setup_ns, planned.wait_ns > 0));
        self.assign(instance, now);
    }

    fn queue(&mut self, visit: u32, now: i64, setup: (i64, bool)) {
        self.waited += 1;
        let visited = &mut self.visits[visit as usize];
        visited.waits_since = Some((now, self.waited));
        visited.setup = setup;
    }

    fn free(&mut self, visit: u32, now: i64) {
        let instance = self.load.visits[visit as usize].instance as usize;
        if let Some(slot) = self.slots[instance]
            .iter_mut()
            .find(|slot| slot.holder == Some(visit))
        {
            slot.holder = None;
            slot.free_since = now;
        }
        self.assign(instance, now);
    }

    /// Gives the slot that has been free for the longest time to the request that has waited for the longest time.
    fn assign(&mut self, instance: usize, now: i64) {
        let waiting = (0..self.load.visits.len() as u32)
            .filter(|visit| self.load.visits[*visit as usize].instance as usize == instance)
            .filter_map(|visit| Some((self.visits[visit as usize].waits_since?, visit)))
            .min();
        let free = self.slots[instance]
            .iter_mut()
            .filter(|slot| slot.holder.is_none());
        let (Some(((since, _), visit)), Some(slot)) = (waiting, free.min_by_key(|slot| slot.free_since))
        else {
            return;
        };
        slot.holder = Some(visit);
        let visited = &mut self.visits[visit as usize];
        visited.waits_since = None;
        let (setup, has_waited) = visited.setup;
        // A thread does not sleep if it takes the next request immediately after its last one.
        let sleeps = has_waited || now == since;
        visited.awake = now + if sleeps { setup } else { 0 };
        if visited.start.is_none() {
            visited.wait = now - since;
            visited.start = Some(visited.awake);
        } else {
            visited.slot_wait += now - since;
        }
    }
}

fn outcome(visited: &Visited) -> Outcome {
    let Some(enqueue) = visited.enqueue else {
        return Outcome::default();
    };
    let end = visited.end.unwrap_or_default();
    Outcome {
        enqueue_ns: enqueue,
        wait_ns: visited.wait,
        start_ns: visited.start.unwrap_or(end),
        end_ns: end,
        slot_wait_ns: visited.slot_wait,
        state: match (visited.refused, visited.end) {
            (true, _) => State::Refused,
            (false, Some(_)) => State::Served,
            (false, None) => State::Unfinished,
        },
    }
}
