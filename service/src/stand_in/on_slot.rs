//! [`NewPlan`]: a planned request, executed on a slot's thread until its answer.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::afterwards::continue_after_answer;
use super::execution::Execution;
use super::mailbox::Parked;
use super::padded::ZEROS;
use super::shared::StandIn;
use super::step::Step;
use crate::burn::burn;
use crate::meter::{self, Reading, thread_cpu_ns};
use crate::request::{Answer, OCTETS};
use crate::settings::SlotPolicy;
use crate::station::{Begin, Done, Finished, Item, Task, Ticket};
use crate::telemetry::planned_span::Outcome;
use crate::telemetry::server_span::Times;

/// Maximum CPU time between two looks at the clock, so that a call of an independent branch starts in time.
const SLICE_NS: u64 = 100_000;

/// A planned request that no slot has taken yet.
pub struct NewPlan {
    pub stand_in: Arc<StandIn>,
    pub execution: Execution,
    pub ticket: Ticket,
    pub reply: oneshot::Sender<Done>,
}

/// A planned request that has released its slot, and waits for calls or for a slot.
struct Suspended {
    request: InProgress,
    /// The time at which it was queued again.
    back_ns: u64,
}

/// A planned request on a slot, or between two slots.
struct InProgress {
    stand_in: Arc<StandIn>,
    execution: Execution,
    ticket: Ticket,
    reply: oneshot::Sender<Done>,
    times: Times,
    /// CPU time on earlier slots.
    used: Reading,
}

/// A planned request on a slot.
struct OnSlot {
    request: InProgress,
    /// The meter's reading when the slot took it.
    before: Reading,
    /// CPU was used on the answer's behalf, so that its amount could be exact.
    is_exact: bool,
    /// CPU time that was used as planned.
    burnt_ns: u64,
}

impl Task for NewPlan {
    fn run(self: Box<Self>, begin: Begin) -> Option<Finished> {
        let before = meter::read();
        let NewPlan {
            stand_in,
            mut execution,
            ticket,
            reply,
        } = *self;
        let mut times = begin.times(ticket.enqueue_ns);
        let mut start_ns = begin.start_ns;
        if stand_in.service.settings.slots().is_none() {
            // Without slots there is no queue: the way to the thread is part of the first gap, as in an application that reports none.
            start_ns = ticket.enqueue_ns;
            times.start_ns = None;
        }
        execution.mailbox.read_by(thread::current());
        execution.engine.call_cost_ns = stand_in.call.get();
        execution.engine.start(start_ns);
        let request = InProgress {
            stand_in,
            execution,
            ticket,
            reply,
            times,
            used: Reading::default(),
        };
        OnSlot {
            request,
            before,
            is_exact: false,
            burnt_ns: 0,
        }
        .run()
    }

    fn refuse(self: Box<Self>) -> Ticket {
        self.ticket
    }
}

impl Task for Suspended {
    fn run(mut self: Box<Self>, begin: Begin) -> Option<Finished> {
        let before = meter::read();
        let request = &mut self.request;
        request.execution.mailbox.read_by(thread::current());
        let waited_ns = begin.start_ns.saturating_sub(self.back_ns);
        request.execution.engine.waited_for_slot(waited_ns);
        let so_far = request.times.slot_wait_ns.unwrap_or(0);
        request.times.slot_wait_ns = Some(so_far.saturating_add(waited_ns));
        OnSlot {
            request: self.request,
            before,
            is_exact: false,
            burnt_ns: 0,
        }
        .run()
    }

    fn refuse(self: Box<Self>) -> Ticket {
        self.request.ticket
    }
}

impl Parked for Suspended {
    fn advance(mut self: Box<Self>) {
        let stand_in = self.request.stand_in.clone();
        let execution = &mut self.request.execution;
        execution.take_answers();
        let mut now_ns = stand_in.service.clock.now_ns();
        while let Some(step) = execution.engine.event(now_ns) {
            execution.perform(step, now_ns);
            now_ns = stand_in.service.clock.now_ns();
        }
        if execution.engine.can_wait_without_slot() {
            let (mailbox, until_ns) = (execution.mailbox.clone(), execution.engine.next_event_ns());
            stand_in.park(&mailbox, self, until_ns);
        } else {
            self.back_ns = now_ns;
            stand_in.service.queue.resume(Item::Task(self));
        }
    }
}

impl OnSlot {
    fn run(mut self) -> Option<Finished> {
        let clock = self.request.stand_in.service.clock;
        let settings = &self.request.stand_in.service.settings;
        // Nobody waits for one of unlimited slots.
        let releases = settings.slot_policy == SlotPolicy::Released && settings.slots().is_some();
        loop {
            self.request.execution.take_answers();
            let now_ns = clock.now_ns();
            let cpu_ns = self.cpu_ns();
            match self.request.execution.engine.next(now_ns, cpu_ns) {
                Step::Burn {
                    cpu_ns: target_ns,
                    until_ns,
                    is_last,
                } => {
                    let rest_ns = target_ns.saturating_sub(cpu_ns).min(SLICE_NS);
                    self.burn(rest_ns.min(until_ns.saturating_sub(now_ns)));
                    self.is_exact |= is_last;
                }
                Step::Wait { .. } if releases && self.request.execution.engine.can_wait_without_slot() => {
                    self.release_slot();
                    return None;
                }
                Step::Wait {
                    until_ns,
                    spare_cpu_ns,
                } => self.wait(now_ns, until_ns, spare_cpu_ns.saturating_sub(cpu_ns)),
                Step::Answer { is_failed } => return Some(self.answer(is_failed)),
                Step::Done => return Some(self.answer(true)),
                step => self.request.execution.perform(step, now_ns),
            }
        }
    }

    /// CPU time of the request so far, with what its end will use.
    fn cpu_ns(&self) -> u64 {
        let here_ns = thread_cpu_ns().saturating_sub(self.before.cpu_ns);
        let request = &self.request;
        here_ns
            .saturating_add(request.used.cpu_ns)
            .saturating_add(request.execution.used_by_calls.cpu_ns)
            .saturating_add(request.stand_in.tail.get())
    }

    fn burn(&mut self, cpu_ns: u64) {
        burn(cpu_ns);
        self.burnt_ns = self.burnt_ns.saturating_add(cpu_ns);
    }

    /// Uses spare CPU time, else sleeps, until a time or an answer.
    fn wait(&mut self, now_ns: u64, until_ns: Option<u64>, spare_ns: u64) {
        let stand_in = &self.request.stand_in;
        // The calls in progress will use CPU, too.
        let reserved_ns = stand_in.polls.get() * self.request.execution.engine.awaited() as u64;
        let spare_ns = spare_ns.saturating_sub(reserved_ns);
        match until_ns {
            _ if spare_ns > 0 => {
                let rest_ns = until_ns.map_or(u64::MAX, |until_ns| until_ns.saturating_sub(now_ns));
                self.burn(spare_ns.min(SLICE_NS).min(rest_ns));
            }
            Some(until_ns) => self.sleep_until(until_ns, now_ns),
            None => thread::park(),
        }
        let request = &mut self.request;
        if request.execution.calls_in_progress > 0 && request.execution.engine.is_idle() {
            let waited_ns = request.stand_in.service.clock.now_ns().saturating_sub(now_ns);
            request.times.downstream_ns = request.times.downstream_ns.saturating_add(waited_ns);
        }
    }

    /// Sleeps until a time or an answer. A thread wakes late, so that the sleep is shorter by the expected lateness.
    fn sleep_until(&self, until_ns: u64, now_ns: u64) {
        let stand_in = &self.request.stand_in;
        let lateness = stand_in.lateness(until_ns.saturating_sub(now_ns));
        let early_ns = until_ns.saturating_sub(lateness.get());
        if early_ns > now_ns {
            thread::park_timeout(Duration::from_nanos(early_ns - now_ns));
            let woke_ns = stand_in.service.clock.now_ns();
            // Otherwise, an answer has woken it.
            if woke_ns >= early_ns {
                lateness.add(woke_ns - early_ns);
            }
        } else {
            std::hint::spin_loop();
        }
    }

    /// Adds the CPU time on this slot.
    fn count_cpu(&mut self) {
        self.request.used.add(meter::read().since(self.before));
    }

    fn release_slot(mut self) {
        self.count_cpu();
        self.request.stand_in.service.queue.suspend();
        Box::new(Suspended {
            request: self.request,
            back_ns: 0,
        })
        .advance();
    }

    fn answer(mut self, is_failed: bool) -> Finished {
        let plan = &self.request.execution.plan;
        let outcome = executed(&plan.outcome, is_failed);
        let status = standin::request::transport_status(outcome.status, is_failed);
        let answer = Answer::new(status, OCTETS, zeros(plan.bytes_out));
        self.request.ticket.trace.set_outcome(outcome);
        self.count_cpu();
        let InProgress {
            stand_in,
            mut execution,
            ticket,
            reply,
            mut times,
            mut used,
        } = self.request;
        used.add(execution.used_by_calls);
        times.used = Some(used);
        times.end_ns = stand_in.service.clock.now_ns();
        // What a request used on earlier slots is not known here.
        if execution.calls_started > 0 && times.slot_wait_ns.is_none() {
            let costs_ns = used.cpu_ns.saturating_sub(self.burnt_ns);
            let costs_ns = costs_ns.saturating_sub(stand_in.tail.get());
            stand_in.call.add(costs_ns / execution.calls_started);
        }
        if self.is_exact {
            let tail_ns = stand_in.tail.get().saturating_add(used.cpu_ns);
            stand_in
                .tail
                .add(tail_ns.saturating_sub(execution.engine.planned_cpu_ns()));
        }
        execution.engine.answer_sent(times.end_ns);
        stand_in.counters.executed(execution.engine.unused_cpu_ns());
        continue_after_answer(stand_in, execution);
        Finished {
            reply,
            done: Done {
                answer,
                times,
                ticket,
            },
        }
    }
}

/// The result that the invocation reports: the recorded one, unless the calls that made it fail have succeeded.
fn executed(recorded: &Outcome, is_failed: bool) -> Outcome {
    if is_failed == recorded.is_failed {
        return recorded.clone();
    }
    let succeeded = |status: u16| if status < 100 { 0 } else { 200 };
    Outcome {
        status: recorded.status.map(succeeded),
        error: None,
        is_failed,
    }
}

fn zeros(bytes: u32) -> Bytes {
    let length = bytes as usize;
    match ZEROS.get(..length) {
        Some(zeros) => Bytes::from_static(zeros),
        None => Bytes::from(vec![0; length]),
    }
}
