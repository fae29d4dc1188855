//! A second simulator, as slow and as plain as possible: in each step, it looks through everything for what comes next. It has
//! no queue, no counters and no list of events; all follows from the times so far.

use plan::stations::{Outcome, State};
use plan::work::{Call, Ending, NONE, Works};

#[derive(Debug, Clone, Default)]
struct Invocation {
    enqueue: Option<i64>,
    refused: bool,
    /// Since when it waits for a slot, and in which place among all that ever waited.
    waits_since: Option<(i64, usize)>,
    /// Beginnings of own time: after the first slot, then after each group.
    begins: Vec<i64>,
    start: i64,
    wait: i64,
    slot_wait: i64,
    end: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    free_since: i64,
    holder: Option<u32>,
}

pub struct Naive<'w> {
    works: &'w Works,
    invocations: Vec<Invocation>,
    starts: Vec<Option<i64>>,
    ends: Vec<Option<i64>>,
    left: Vec<bool>,
    slots: Vec<Vec<Slot>>,
    waited: usize,
}

/// What can happen next. The order of the variants is that of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    End(u32),
    CallEnd(u32),
    Leave(u32),
    CallStart(u32),
    Arrive(u32),
}

/// What happened to invocations, and the starts and ends of calls.
pub struct Happened {
    pub outcomes: Vec<Outcome>,
    pub starts: Vec<Option<i64>>,
    pub ends: Vec<Option<i64>>,
}

pub fn simulate(works: &Works) -> Happened {
    let slots = works.names.instances.iter().map(|instance| {
        let free = Slot {
            free_since: i64::MIN,
            holder: None,
        };
        vec![free; instance.station.slots.unwrap_or(0) as usize]
    });
    let mut naive = Naive {
        works,
        invocations: vec![Invocation::default(); works.works.len()],
        starts: vec![None; works.calls.len()],
        ends: vec![None; works.calls.len()],
        left: vec![false; works.calls.len()],
        slots: slots.collect(),
        waited: 0,
    };
    while let Some((now, step)) = naive.next() {
        naive.take(now, step);
    }
    Happened {
        outcomes: naive.outcomes(),
        starts: naive.starts,
        ends: naive.ends,
    }
}

impl Naive<'_> {
    fn next(&self) -> Option<(i64, Step)> {
        let calls = 0..self.works.calls.len() as u32;
        let works = 0..self.works.works.len() as u32;
        let ends = works
            .clone()
            .filter_map(|work| Some((self.end_of(work)?, Step::End(work))));
        let arrivals = works.filter_map(|work| Some((self.arrival_of(work)?, Step::Arrive(work))));
        let of_calls = calls.flat_map(|call| {
            let end = self.call_end_of(call).map(|at| (at, Step::CallEnd(call)));
            let leave = self.leave_of(call).map(|at| (at, Step::Leave(call)));
            let start = self
                .call_start_of(call)
                .filter(|_| self.starts[call as usize].is_none());
            [end, leave, start.map(|at| (at, Step::CallStart(call)))]
        });
        ends.chain(arrivals).chain(of_calls.flatten()).min()
    }

    /// Groups of an invocation, as ranges of calls.
    fn groups(&self, work: u32) -> Vec<std::ops::Range<usize>> {
        let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
        for call in self.works.works[work as usize].calls() {
            match groups.last_mut() {
                Some(last) if !self.works.calls[call].begins_group => last.end = call + 1,
                _ => groups.push(call..call + 1),
            }
        }
        groups
    }

    fn call(&self, index: u32) -> &Call {
        &self.works.calls[index as usize]
    }

    fn end_of(&self, work: u32) -> Option<i64> {
        let invocation = &self.invocations[work as usize];
        let groups = self.groups(work).len();
        let begin = invocation.begins.get(groups)?;
        invocation
            .end
            .is_none()
            .then_some(begin + self.works.works[work as usize].tail_ns)
    }

    fn arrival_of(&self, work: u32) -> Option<i64> {
        if self.invocations[work as usize].enqueue.is_some() {
            return None;
        }
        let caller = self.works.works[work as usize].caller;
        if caller == NONE {
            return self
                .works
                .arrivals
                .iter()
                .find(|arrival| arrival.work == work)
                .map(|arrival| arrival.at_ns);
        }
        Some(self.starts[caller as usize]? + self.call(caller).out_ns)
    }

    fn call_start_of(&self, index: u32) -> Option<i64> {
        let call = self.call(index);
        if call.waits > 0 {
            let mut latest = i64::MIN;
            for wait in &self.works.waits_for[call.waits()] {
                latest = latest.max(self.ends[*wait as usize]?);
            }
            return Some(latest + call.gap_ns);
        }
        let groups = self.groups(call.work);
        let group = groups
            .iter()
            .position(|group| group.contains(&(index as usize)))?;
        Some(self.invocations[call.work as usize].begins.get(group)? + call.gap_ns)
    }

    fn call_end_of(&self, index: u32) -> Option<i64> {
        let call = self.call(index);
        if self.ends[index as usize].is_some() {
            return None;
        }
        let start = self.starts[index as usize]?;
        match call.ending {
            Ending::Duration => Some(start + call.duration_ns),
            Ending::Answer => Some(self.invocations[call.callee as usize].end? + call.back_ns),
        }
    }

    /// The first call of a group releases the slot.
    fn leave_of(&self, index: u32) -> Option<i64> {
        let call = self.call(index);
        let instance = self.works.works[call.work as usize].instance as usize;
        let is_released = self.works.names.instances[instance].station.is_released;
        if !is_released || !call.begins_group || self.left[index as usize] {
            return None;
        }
        Some(self.call_start_of(index)? - i64::from(call.early_ns))
    }

    fn take(&mut self, now: i64, step: Step) {
        match step {
            Step::End(work) => {
                self.invocations[work as usize].end = Some(now);
                self.free(work, now);
            }
            Step::CallEnd(call) => {
                self.ends[call as usize] = Some(now);
                self.after_group(call, now);
            }
            Step::Leave(call) => {
                self.left[call as usize] = true;
                self.free(self.call(call).work, now);
            }
            Step::CallStart(call) => self.starts[call as usize] = Some(now),
            Step::Arrive(work) => self.arrive(work, now),
        }
    }

    fn after_group(&mut self, call: u32, now: i64) {
        let work = self.call(call).work;
        let groups = self.groups(work);
        let group = groups
            .iter()
            .find(|group| group.contains(&(call as usize)))
            .unwrap()
            .clone();
        if group.clone().any(|call| self.ends[call].is_none()) {
            return;
        }
        let instance = self.works.works[work as usize].instance as usize;
        if self.works.names.instances[instance].station.is_released {
            self.queue(work, now);
            self.assign(instance, now);
        } else {
            self.invocations[work as usize].begins.push(now);
        }
    }

    fn arrive(&mut self, work: u32, now: i64) {
        self.invocations[work as usize].enqueue = Some(now);
        let instance = self.works.works[work as usize].instance as usize;
        let is_busy = self.slots[instance].iter().all(|slot| slot.holder.is_some());
        let waiting = (0..self.works.works.len())
            .filter(|other| self.works.works[*other].instance as usize == instance)
            .filter(|other| self.invocations[*other].waits_since.is_some())
            .count();
        let limit = self.works.names.instances[instance].station.queue_limit;
        if is_busy && limit.is_some_and(|limit| waiting >= limit as usize) {
            let invocation = &mut self.invocations[work as usize];
            invocation.refused = true;
            invocation.end = Some(now);
            return;
        }
        self.queue(work, now);
        self.assign(instance, now);
    }

    fn queue(&mut self, work: u32, now: i64) {
        self.waited += 1;
        self.invocations[work as usize].waits_since = Some((now, self.waited));
    }

    fn free(&mut self, work: u32, now: i64) {
        let instance = self.works.works[work as usize].instance as usize;
        if let Some(slot) = self.slots[instance]
            .iter_mut()
            .find(|slot| slot.holder == Some(work))
        {
            slot.holder = None;
            slot.free_since = now;
        }
        self.assign(instance, now);
    }

    /// The request that has waited longest gets the slot that has been free for longest.
    fn assign(&mut self, instance: usize, now: i64) {
        let waiting = (0..self.works.works.len() as u32)
            .filter(|work| self.works.works[*work as usize].instance as usize == instance)
            .filter_map(|work| Some((self.invocations[work as usize].waits_since?, work)))
            .min();
        let free = self.slots[instance]
            .iter_mut()
            .filter(|slot| slot.holder.is_none());
        let (Some(((since, _), work)), Some(slot)) = (waiting, free.min_by_key(|slot| slot.free_since))
        else {
            return;
        };
        slot.holder = Some(work);
        let invocation = &mut self.invocations[work as usize];
        invocation.waits_since = None;
        if invocation.begins.is_empty() {
            invocation.wait = now - since;
            invocation.start = now + self.works.works[work as usize].setup_ns;
            invocation.begins.push(invocation.start);
        } else {
            invocation.slot_wait += now - since;
            invocation.begins.push(now);
        }
    }

    fn outcomes(&self) -> Vec<Outcome> {
        let outcome = |invocation: &Invocation| {
            let Some(enqueue) = invocation.enqueue else {
                return Outcome::default();
            };
            let end = invocation.end.unwrap_or_default();
            Outcome {
                enqueue_ns: enqueue,
                wait_ns: invocation.wait,
                start_ns: if invocation.refused { end } else { invocation.start },
                end_ns: end,
                slot_wait_ns: invocation.slot_wait,
                state: match (invocation.refused, invocation.end) {
                    (true, _) => State::Refused,
                    (false, Some(_)) => State::Served,
                    (false, None) => State::Unfinished,
                },
            }
        };
        self.invocations.iter().map(outcome).collect()
    }
}
