//! A worker slot: takes the oldest request, works on it, and is free again with the request's last stamp.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::measured::{Measured, Spent, Thread};
use super::{Done, Item, Job, Returned, Ticket};
use crate::endpoints::{Endpoint, Tools};
use crate::forward::Call;
use crate::meter::{self, Reading};
use crate::request::{Answer, NextReport, Outcome, Request};
use crate::service::Service;
use crate::settings::SlotPolicy;
use crate::telemetry::server_span::Times;

/// Serves requests until the queue is closed and empty.
///
/// An answer is handed over only after the next request has been stamped as taken up: handing over wakes an I/O
/// thread, which may well take this CPU first, and the slot would look idle though requests wait for it.
pub fn run(service: &Arc<Service>, calls: &Handle) {
    let mut finished: Option<Finished> = None;
    let mut free_since_ns = service.clock.now_ns();
    loop {
        let mut next = service.queue.release(free_since_ns);
        if next.is_none() {
            hand_over(service, finished.take());
            next = service.queue.take();
        }
        let Some(taken) = next else { return };
        let begin = Begin {
            start_ns: service.clock.now_ns(),
            free_since_ns: taken.free_since_ns,
        };
        hand_over(service, finished.take());
        finished = match taken.item {
            Item::New(job) => start(service, calls, *job, begin),
            Item::Back(returned) => Some(finish_returned(service, *returned, begin)),
        };
        free_since_ns = match &finished {
            Some(finished) => finished.done.times.end_ns,
            None => service.clock.now_ns(),
        };
    }
}

/// When a slot takes a request up, and since when a slot had been free for it.
#[derive(Clone, Copy)]
struct Begin {
    start_ns: u64,
    free_since_ns: u64,
}

/// A request with all its stamps, whose answer is still to be handed over.
struct Finished {
    reply: oneshot::Sender<Done>,
    done: Done,
}

fn hand_over(service: &Service, finished: Option<Finished>) {
    if let Some(Finished { reply, done }) = finished
        && let Err(unwanted) = reply.send(done)
    {
        // The caller has gone; the work was done all the same, and is told.
        service.tell(unwanted);
    }
}

/// The part of a request's work that has been done, with the meter running.
struct Progress {
    before: Option<Reading>,
    times: Times,
}

impl Progress {
    fn start(ticket: &Ticket, begin: Begin) -> Self {
        let before = ticket.trace.is_recorded().then(meter::read);
        let could_start_ns = ticket.enqueue_ns.max(begin.free_since_ns);
        let times = Times {
            enqueue_ns: ticket.enqueue_ns,
            start_ns: Some(begin.start_ns),
            wakeup_ns: begin.start_ns.saturating_sub(could_start_ns),
            ..Times::default()
        };
        Self { before, times }
    }

    /// Adds what this slot has done since the start to the times.
    fn pause(mut self) -> Times {
        if let Some(before) = self.before {
            let mut used = self.times.used.unwrap_or_default();
            used.add(meter::read().since(before));
            self.times.used = Some(used);
        }
        self.times
    }
}

/// None if the request has given its slot away.
fn start(service: &Arc<Service>, calls: &Handle, job: Job, begin: Begin) -> Option<Finished> {
    let Job {
        endpoint,
        request,
        ticket,
        reply,
    } = job;
    let mut progress = Progress::start(&ticket, begin);
    let mut outcome = run_endpoint(service, endpoint, &request, &ticket);
    let away = Away {
        sleep: outcome.sleep,
        call: next_call(service, &request, &mut outcome),
    };
    let mut answer = outcome.answer;
    drop(request);
    if away.is_needed() && service.settings.slot_policy == SlotPolicy::Released {
        let returned = Returned {
            answer,
            times: progress.pause(),
            ticket,
            reply,
            back_ns: 0,
        };
        leave_slot(service, calls, away, returned);
        return None;
    }
    if !away.sleep.is_zero() {
        std::thread::sleep(away.sleep);
    }
    if let Some(call) = away.call {
        answer.next = call_held(service, calls, call, &ticket, &mut progress.times);
    }
    Some(finish(service, answer, progress.pause(), ticket, reply))
}

/// What a request does before its end without a CPU: under the policy `released` it has no slot meanwhile.
struct Away {
    sleep: Duration,
    call: Option<Call>,
}

impl Away {
    fn is_needed(&self) -> bool {
        !self.sleep.is_zero() || self.call.is_some()
    }
}

/// The call to the next hop, if there is one and it is allowed.
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
    // A slot that dies would shrink the station without a word, so a panic costs its own request only.
    catch_unwind(AssertUnwindSafe(|| (endpoint.run)(request, &tools))).unwrap_or_else(|_panic| {
        tracing::error!(
            route = endpoint.route,
            "an endpoint panicked; its request is answered 500"
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
    // The polls' CPU time is in the slot's own readings already.
    times.downstream_ns = spent.waiting_ns;
    service.count(&report);
    report
}

fn leave_slot(service: &Arc<Service>, calls: &Handle, away: Away, mut returned: Returned) {
    service.queue.suspend();
    let service = service.clone();
    calls.spawn(async move {
        if !away.sleep.is_zero() {
            tokio::time::sleep(away.sleep).await;
        }
        if let Some(call) = away.call {
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
    service.count(&report);
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

/// The last stamp gives the slot back: whatever a request still needs is done by the thread that gets it.
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
