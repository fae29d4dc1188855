//! A worker slot: takes the oldest request, works on it, and is free again at the request's end timestamp.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::measured::{Measured, Spent, Thread};
use super::{Begin, Done, Finished, Item, Job, Returned, Ticket};
use crate::endpoints::{Endpoint, Tools};
use crate::forward::Call;
use crate::meter::{self, Reading};
use crate::request::{Answer, NextReport, Outcome, Request};
use crate::service::Service;
use crate::settings::SlotPolicy;
use crate::telemetry::server_span::Times;

/// Serves requests until the queue is closed and empty.
///
/// If a request waits, its start timestamp is taken before the previous answer is sent. Sending wakes an I/O thread, which may take
/// this CPU. If the answer were sent before the timestamp, the slot could look idle while requests wait for it.
pub fn run(service: &Arc<Service>, calls: &Handle) {
    let mut finished: Option<Finished> = None;
    let mut free_since_ns = service.clock.now_ns();
    loop {
        let mut next = service.queue.release(free_since_ns);
        if next.is_none() {
            send(service, finished.take());
            next = service.queue.take();
        }
        let Some(taken) = next else { return };
        let begin = Begin {
            start_ns: service.clock.now_ns(),
            free_since_ns: taken.free_since_ns,
        };
        send(service, finished.take());
        finished = match taken.item {
            Item::New(job) => start(service, calls, *job, begin),
            Item::Back(returned) => Some(finish_returned(service, *returned, begin)),
            Item::Task(task) => catch_unwind(AssertUnwindSafe(|| task.run(begin))).unwrap_or_else(|_panic| {
                tracing::error!("the execution of a plan panicked; answering its request with 500");
                None
            }),
        };
        free_since_ns = match &finished {
            Some(finished) => finished.done.times.end_ns,
            None => service.clock.now_ns(),
        };
    }
}

fn send(service: &Service, finished: Option<Finished>) {
    if let Some(Finished { reply, done }) = finished
        && let Err(unwanted) = reply.send(done)
    {
        // The client has disconnected; the work is recorded nevertheless.
        service.record(unwanted);
    }
}

/// A request in progress, with the reading of the thread's meter at the start of the request.
struct MeteredWork {
    before: Option<Reading>,
    times: Times,
}

impl MeteredWork {
    fn start(ticket: &Ticket, begin: Begin) -> Self {
        let before = ticket.trace.is_recorded().then(meter::read);
        let times = begin.times(ticket.enqueue_ns);
        Self { before, times }
    }

    /// Adds the CPU time that this slot has used since the start.
    fn finish(mut self) -> Times {
        if let Some(before) = self.before {
            let mut used = self.times.used.unwrap_or_default();
            used.add(meter::read().since(before));
            self.times.used = Some(used);
        }
        self.times
    }
}

/// Processes a request. Returns `None` if the request has released its slot.
fn start(service: &Arc<Service>, calls: &Handle, job: Job, begin: Begin) -> Option<Finished> {
    let Job {
        endpoint,
        request,
        ticket,
        reply,
    } = job;
    let mut work = MeteredWork::start(&ticket, begin);
    let mut outcome = run_endpoint(service, endpoint, &request, &ticket);
    let waits = Waits {
        sleep: outcome.sleep,
        call: next_call(service, &request, &mut outcome),
    };
    let mut answer = outcome.answer;
    drop(request);
    if waits.is_needed() && service.settings.slot_policy == SlotPolicy::Released {
        let returned = Returned {
            answer,
            times: work.finish(),
            ticket,
            reply,
            back_ns: 0,
        };
        leave_slot(service, calls, waits, returned);
        return None;
    }
    if !waits.sleep.is_zero() {
        std::thread::sleep(waits.sleep);
    }
    if let Some(call) = waits.call {
        answer.next = call_held(service, calls, call, &ticket, &mut work.times);
    }
    Some(finish(service, answer, work.finish(), ticket, reply))
}

/// The waits of a request, which need no CPU. Under the slot policy `released`, the request has no slot during these waits.
struct Waits {
    sleep: Duration,
    call: Option<Call>,
}

impl Waits {
    fn is_needed(&self) -> bool {
        !self.sleep.is_zero() || self.call.is_some()
    }
}

/// The call to the next hop, if a next hop is named or configured, and is allowed.
fn next_call(service: &Service, request: &Request, outcome: &mut Outcome) -> Option<Call> {
    let payload = outcome.payload.take()?;
    let chosen = service
        .forwarder
        .choose(outcome.call_url.as_deref(), request.next_url.as_deref())?;
    match chosen {
        Ok(next) => Some(Call {
            next,
            payload,
            hops: request.hops,
        }),
        Err(refusal) => {
            service.stats.next_refused.fetch_add(1, Ordering::Relaxed);
            outcome.answer.next = NextReport {
                status: None,
                error: Some(refusal.to_string().into()),
            };
            None
        }
    }
}

fn run_endpoint(service: &Service, endpoint: &Endpoint, request: &Request, ticket: &Ticket) -> Outcome {
    let gunzip_bytes_max = service.settings.max_gunzip_bytes;
    let tools = Tools {
        store: &service.store,
        gunzip_bytes_max,
        trace: &ticket.trace,
    };
    // A panic must fail only its own request: a dead slot would silently reduce the capacity.
    catch_unwind(AssertUnwindSafe(|| (endpoint.run)(request, &tools))).unwrap_or_else(|_panic| {
        tracing::error!(
            route = endpoint.route,
            "an endpoint panicked; answering its request with 500"
        );
        Outcome::failed(Answer::error(500, "internal error; see the service's log"))
    })
}

fn call_held(
    service: &Service,
    calls: &Handle,
    call: Call,
    ticket: &Ticket,
    times: &mut Times,
) -> NextReport {
    let future = Measured::new(service.forwarder.call(call, &ticket.trace), Thread::Own);
    let (report, spent) = calls.block_on(future);
    // The CPU time of the polls is already part of the slot's own readings.
    times.downstream_ns = spent.waiting_ns;
    service.count_call(&report);
    report
}

fn leave_slot(service: &Arc<Service>, calls: &Handle, waits: Waits, mut returned: Returned) {
    service.queue.suspend();
    let service = service.clone();
    calls.spawn(async move {
        if !waits.sleep.is_zero() {
            tokio::time::sleep(waits.sleep).await;
        }
        if let Some(call) = waits.call {
            call_released(&service, call, &mut returned).await;
        }
        returned.back_ns = service.clock.now_ns();
        service.queue.resume(Item::Back(Box::new(returned)));
    });
}

async fn call_released(service: &Service, call: Call, returned: &mut Returned) {
    let future = Measured::new(
        service.forwarder.call(call, &returned.ticket.trace),
        Thread::Shared,
    );
    let (report, Spent { used, waiting_ns }) = future.await;
    service.count_call(&report);
    returned.answer.next = report;
    returned.times.downstream_ns = waiting_ns;
    if let Some(total) = &mut returned.times.used {
        total.add(used);
    }
}

fn finish_returned(service: &Service, returned: Returned, begin: Begin) -> Finished {
    let Returned {
        answer,
        mut times,
        ticket,
        reply,
        back_ns,
    } = returned;
    times.slot_wait_ns = Some(begin.start_ns.saturating_sub(back_ns));
    finish(service, answer, times, ticket, reply)
}

/// Takes the end timestamp. The slot is free from then on, and an I/O thread does the remaining work.
fn finish(
    service: &Service,
    answer: Answer,
    mut times: Times,
    ticket: Ticket,
    reply: oneshot::Sender<Done>,
) -> Finished {
    times.end_ns = service.clock.now_ns();
    Finished {
        reply,
        done: Done {
            answer,
            times,
            ticket,
        },
    }
}
