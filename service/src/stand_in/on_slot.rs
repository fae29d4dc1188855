//! [`NewPlan`]: executes a planned request on a slot's thread, up to its answer.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::afterwards::continue_after_answer;
use super::execution::{Execution, executed};
use super::learn::{Observed, learn, own_ns};
use super::mailbox::Parked;
use super::padded::zeros;
use super::shared::StandIn;
use super::step::Step;
use crate::burn::burn;
use crate::meter::{self, Reading};
use crate::request::{Answer, OCTETS};
use crate::settings::SlotPolicy;
use crate::station::{Begin, Done, Finished, Item, Task, Ticket};
use crate::telemetry::server_span::Times;

/// Maximum CPU time between two readings of the clock. It limits how late a call of an independent branch can start.
const SLICE_NS: u64 = 100_000;
/// Maximum CPU time between two checks for an answer. The invocation's own work after an answer can be late by this much.
const ANSWER_SLICE_NS: u64 = 10_000;

/// A planned request that waits for its first slot.
pub struct NewPlan {
    pub stand_in: Arc<StandIn>,
    pub execution: Execution,
    pub ticket: Ticket,
    pub reply: oneshot::Sender<Done>,
}

/// A planned request that has released its slot, and waits for calls or for another slot.
struct Suspended {
    request: InProgress,
    /// The time up to which waits for calls have been counted.
    counted_ns: u64,
    /// The time at which the request was queued again.
    back_ns: u64,
}

/// A planned request that has a slot, or is between two slots.
struct InProgress {
    stand_in: Arc<StandIn>,
    execution: Execution,
    ticket: Ticket,
    reply: oneshot::Sender<Done>,
    times: Times,
    /// CPU time on earlier slots and for decoding.
    used: Reading,
    /// CPU time that this request saves, because earlier requests used more than planned.
    saved_ns: u64,
}

/// A planned request that has a slot.
struct OnSlot {
    request: InProgress,
    /// The reading of the CPU meter when the slot took the request.
    before: Reading,
    /// The meter's reading of waits for a CPU when the gaps were last extended. Later waits extend the gaps again.
    delayed_ns: u64,
    /// Time from the end of a wait until the thread ran, as far as it is not counted yet.
    late_ns: u64,
    /// Whether CPU time was used in the last gap, which ends with the answer. This gap makes the request's total exact.
    is_exact: bool,
    /// CPU time that was used as planned work.
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
            // With unlimited slots there is no queue. Then the time until the thread runs belongs to the first gap, as in an
            // application that does not report queue times.
            start_ns = ticket.enqueue_ns;
            times.start_ns = None;
        }
        execution.take_thread();
        execution.expect_costs();
        let saved_ns = stand_in
            .debt
            .share(execution.engine.future_cpu_ns(), execution.engine.open_costs_ns());
        execution.engine.start(start_ns);
        let used = Reading {
            cpu_ns: execution.decoding_cpu_ns,
            wait_ns: 0,
        };
        let request = InProgress {
            stand_in,
            execution,
            ticket,
            reply,
            times,
            used,
            saved_ns,
        };
        OnSlot::new(request, before).run()
    }

    fn refuse(self: Box<Self>) -> Ticket {
        self.ticket
    }
}

impl Task for Suspended {
    fn run(mut self: Box<Self>, begin: Begin) -> Option<Finished> {
        let before = meter::read();
        let request = &mut self.request;
        request.execution.take_thread();
        let waited_ns = begin.start_ns.saturating_sub(self.back_ns);
        request.execution.take_answers();
        request.execution.engine.has_slot(begin.start_ns);
        let so_far = request.times.slot_wait_ns.unwrap_or(0);
        request.times.slot_wait_ns = Some(so_far.saturating_add(waited_ns));
        OnSlot::new(self.request, before).run()
    }

    fn refuse(self: Box<Self>) -> Ticket {
        self.request.ticket
    }
}

impl Parked for Suspended {
    fn advance(mut self: Box<Self>) {
        let stand_in = self.request.stand_in.clone();
        let mut now_ns = stand_in.service.clock.now_ns();
        self.count_downstream(now_ns);
        let execution = &mut self.request.execution;
        execution.take_answers();
        while let Some(step) = execution.engine.event(now_ns) {
            execution.perform(step, now_ns);
            now_ns = stand_in.service.clock.now_ns();
        }
        if execution.engine.can_wait_without_slot() {
            let (mailbox, until_ns) = (execution.mailbox.clone(), execution.engine.next_event_ns());
            stand_in.park(&mailbox, self, until_ns);
        } else {
            execution.send_without_slot();
            self.back_ns = now_ns;
            stand_in.service.queue.resume(Item::Task(self));
        }
    }
}

impl Suspended {
    /// If an answer was awaited, adds the time since the previous call of this function to the waits for calls.
    fn count_downstream(&mut self, now_ns: u64) {
        let waited_ns = now_ns.saturating_sub(self.counted_ns);
        self.counted_ns = now_ns;
        if self.request.execution.engine.awaited() > 0 {
            let times = &mut self.request.times;
            times.downstream_ns = times.downstream_ns.saturating_add(waited_ns);
        }
    }
}

impl OnSlot {
    fn new(request: InProgress, before: Reading) -> Self {
        Self {
            request,
            before,
            delayed_ns: before.wait_ns,
            late_ns: 0,
            is_exact: false,
            burnt_ns: 0,
        }
    }

    fn run(mut self) -> Option<Finished> {
        let clock = self.request.stand_in.service.clock;
        let settings = &self.request.stand_in.service.settings;
        let releases = settings.slot_policy == SlotPolicy::Released;
        loop {
            self.request.execution.take_answers();
            self.count_lateness();
            let now_ns = clock.now_ns();
            let reading = meter::read();
            self.delay_gaps(reading, now_ns);
            let cpu_ns = self.cpu_ns(reading);
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
                } => {
                    self.wait(now_ns, until_ns, spare_cpu_ns.saturating_sub(cpu_ns));
                    self.count_downstream(now_ns, until_ns, reading);
                }
                Step::Answer { is_failed } => return Some(self.answer(is_failed)),
                Step::Done => return Some(self.answer(true)),
                step => self.request.execution.perform(step, now_ns),
            }
        }
    }

    /// Makes the gaps that need CPU time longer by new waits for a CPU, because the planned gaps do not include such waits.
    fn delay_gaps(&mut self, reading: Reading, now_ns: u64) {
        let wait_ns = reading.wait_ns.saturating_sub(self.delayed_ns);
        if wait_ns > 0 {
            self.delayed_ns = reading.wait_ns;
            self.request.execution.engine.waited_for_cpu(wait_ns, now_ns);
        }
    }

    /// CPU time that counts against the plan: used so far, estimated for ending the request, and saved.
    fn cpu_ns(&self, reading: Reading) -> u64 {
        let here_ns = reading.cpu_ns.saturating_sub(self.before.cpu_ns);
        let request = &self.request;
        here_ns
            .saturating_add(request.used.cpu_ns)
            .saturating_add(request.execution.used_by_calls.cpu_ns)
            .saturating_add(request.stand_in.tail.get())
            .saturating_add(request.saved_ns)
    }

    fn burn(&mut self, cpu_ns: u64) {
        burn(cpu_ns);
        self.burnt_ns = self.burnt_ns.saturating_add(cpu_ns);
    }

    /// Uses CPU time: `cpu_ns`, or less if an answer arrives.
    fn burn_until_answered(&mut self, cpu_ns: u64) {
        let mut rest_ns = cpu_ns;
        while rest_ns > 0 && !self.request.execution.has_answer() {
            let slice_ns = rest_ns.min(ANSWER_SLICE_NS);
            self.burn(slice_ns);
            rest_ns -= slice_ns;
        }
    }

    /// Waits until the given time or an answer. If the plan has spare CPU time, uses it; otherwise sleeps.
    fn wait(&mut self, now_ns: u64, until_ns: Option<u64>, spare_ns: u64) {
        let stand_in = &self.request.stand_in;
        // The calls in progress will also use CPU time.
        let reserved_ns = stand_in.polls.get() * self.request.execution.engine.awaited() as u64;
        let spare_ns = spare_ns.saturating_sub(reserved_ns);
        match until_ns {
            _ if spare_ns > 0 => {
                let rest_ns = until_ns.map_or(u64::MAX, |until_ns| until_ns.saturating_sub(now_ns));
                self.burn_until_answered(spare_ns.min(SLICE_NS).min(rest_ns));
            }
            Some(until_ns) => self.sleep_until(until_ns, now_ns),
            None => thread::park(),
        }
        self.request.execution.poll_calls(false);
    }

    /// Counts a wait for answers, from `since_ns` until the awaited event. CPU time and waits for a CPU are subtracted. Only
    /// calls that end with an answer count. Others, such as calls to databases, count as the request's own time, as in a service
    /// that reports its downstream time.
    fn count_downstream(&mut self, since_ns: u64, until_ns: Option<u64>, before: Reading) {
        let InProgress {
            stand_in,
            execution,
            times,
            ..
        } = &mut self.request;
        if execution.engine.awaited() == 0 || !execution.engine.is_idle() {
            return;
        }
        let now_ns = stand_in.service.clock.now_ns();
        let own = meter::read().since(before);
        let off_cpu_ns = now_ns
            .saturating_sub(since_ns)
            .saturating_sub(own.cpu_ns)
            .saturating_sub(own.wait_ns);
        let event_ns = until_ns.into_iter().chain(execution.mailbox.first_ns()).min();
        let waited_ns = event_ns.unwrap_or(now_ns).saturating_sub(since_ns);
        let waited_ns = waited_ns.min(off_cpu_ns);
        times.downstream_ns = times.downstream_ns.saturating_add(waited_ns);
        self.late_ns = off_cpu_ns - waited_ns;
    }

    /// Counts the lateness of a thread that woke up too late. If the lateness delays the next step, it counts as a part of the
    /// wait for the call, as in other programs.
    fn count_lateness(&mut self) {
        let late_ns = std::mem::take(&mut self.late_ns);
        let request = &mut self.request;
        let delay_ns = late_ns.saturating_sub(request.execution.engine.slack_ns());
        request.times.downstream_ns = request.times.downstream_ns.saturating_add(delay_ns);
    }

    /// Sleeps until a time or an answer. The sleep is shorter by the expected lateness, because threads wake up late.
    fn sleep_until(&self, until_ns: u64, now_ns: u64) {
        let stand_in = &self.request.stand_in;
        let lateness = stand_in.lateness(until_ns.saturating_sub(now_ns));
        let early_ns = until_ns.saturating_sub(lateness.get());
        if early_ns > now_ns {
            thread::park_timeout(Duration::from_nanos(early_ns - now_ns));
            let woke_ns = stand_in.service.clock.now_ns();
            // Only a full sleep shows the lateness; here an answer may have ended it.
            if woke_ns >= early_ns {
                lateness.add(woke_ns - early_ns);
            }
        } else {
            std::hint::spin_loop();
        }
    }

    /// Adds the CPU time that was used on this slot. Returns the reading at its end.
    fn count_cpu(&mut self) -> Reading {
        let reading = meter::read();
        self.request.used.add(reading.since(self.before));
        reading
    }

    /// Continues the request without a slot. The wait without a slot begins before this thread hands over its calls, but does not
    /// contain the work of handing them over.
    fn release_slot(mut self) {
        let since_ns = self.request.stand_in.service.clock.now_ns();
        let before = meter::read();
        self.request.execution.leave_thread();
        let own = self.count_cpu().since(before);
        self.request.stand_in.service.queue.suspend();
        Box::new(Suspended {
            counted_ns: since_ns.saturating_add(own.cpu_ns).saturating_add(own.wait_ns),
            request: self.request,
            back_ns: 0,
        })
        .advance();
    }

    fn answer(mut self, is_failed: bool) -> Finished {
        let cpu_ns = self.cpu_ns(meter::read());
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
            saved_ns,
        } = self.request;
        used.add(execution.used_by_calls);
        times.used = Some(used);
        // CPU time that the thread of calls used while the invocation had no slot. The plan has some CPU time during calls,
        // and CPU time up to this amount is not part of the wait for calls. The excess is. To make up for the excess, the gaps
        // use less CPU time, but keep their planned length.
        let by_calls = execution.used_by_calls;
        times.downstream_ns = times
            .downstream_ns
            .saturating_sub(by_calls.cpu_ns.min(execution.engine.beside_used_ns()))
            .saturating_sub(by_calls.wait_ns);
        times.end_ns = stand_in.service.clock.now_ns();
        let observed = Observed {
            used_ns: used.cpu_ns,
            burnt_ns: self.burnt_ns,
            saved_ns,
            is_exact: self.is_exact,
            had_one_slot: times.slot_wait_ns.is_none(),
            own_ns: own_ns(&times, ticket.enqueue_ns, used),
            end_ns: times.end_ns,
        };
        learn(&stand_in, &execution, &observed);
        execution.engine.answer_sent(times.end_ns, cpu_ns);
        stand_in.counters.executed(execution.engine.unused_cpu_ns());
        execution.leave_thread();
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
