//! A worker slot: takes the oldest request, works on it, and is free again with the request's last stamp.

use super::measured::{Measured, Spent, Thread};
use super::meter::{self, Reading};
use super::{Done, Item, Job, Returned, Ticket};
use crate::endpoints::{Endpoint, Tools};
use crate::forward::Call;
use crate::request::{Answer, NextReport, Outcome, Request};
use crate::service::Service;
use crate::settings::SlotPolicy;
use crate::telemetry::server_span::Times;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Serves requests until the queue is closed and empty.
///
/// An answer is handed over only after the next request has been stamped as taken up: handing over wakes an I/O
/// thread, which may well take this CPU first, and the slot would look idle though requests wait for it.
pub fn run(service: &Arc<Service>, calls: &Handle) {
    let mut finished: Option<Finished> = None;
    loop {
        let mut next = service.queue.try_take();
        if next.is_none() {
            hand_over(service, finished.take());
            next = service.queue.take();
        }
        let Some(item) = next else { return };
        let start_ns = service.clock.now_ns();
        hand_over(service, finished.take());
        finished = match item {
            Item::New(job) => start(service, calls, *job, start_ns),
            Item::Back(returned) => Some(finish_returned(service, *returned)),
        };
    }
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
    fn start(ticket: &Ticket, start_ns: u64) -> Self {
        let before = ticket.trace.is_recorded().then(meter::read);
        let times = Times {
            enqueue_ns: ticket.enqueue_ns,
            start_ns: Some(start_ns),
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
fn start(service: &Arc<Service>, calls: &Handle, job: Job, start_ns: u64) -> Option<Finished> {
    let Job {
        endpoint,
        request,
        ticket,
        reply,
    } = job;
    let mut progress = Progress::start(&ticket, start_ns);
    let Outcome {
        mut answer,
        payload,
        call_url,
    } = run_endpoint(service, endpoint, &request, &ticket);
    let chosen = payload.as_ref().and_then(|_| {
        service
            .forwarder
            .choose(call_url.as_deref(), request.next_url.as_deref())
    });
    let hops = request.hops;
    drop(request);
    match (chosen, payload) {
        (Some(Ok(next)), Some(payload)) => {
            let call = Call { next, payload, hops };
            if service.settings.slot_policy == SlotPolicy::Released {
                let returned = Returned {
                    answer,
                    times: progress.pause(),
                    ticket,
                    reply,
                };
                call_released(service, calls, call, returned);
                return None;
            }
            answer.next = call_held(service, calls, call, &ticket, &mut progress.times);
        }
        (Some(Err(refusal)), _) => {
            service.stats.next_refused.fetch_add(1, Ordering::Relaxed);
            answer.next = NextReport {
                status: None,
                error: Some(refusal.to_string().into()),
            };
        }
        _ => {}
    }
    Some(finish(service, answer, progress.pause(), ticket, reply))
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

fn call_released(service: &Arc<Service>, calls: &Handle, call: Call, mut returned: Returned) {
    service.queue.suspend();
    let service = service.clone();
    calls.spawn(async move {
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
        service.queue.resume(Item::Back(Box::new(returned)));
    });
}

fn finish_returned(service: &Service, returned: Returned) -> Finished {
    let Returned {
        answer,
        times,
        ticket,
        reply,
    } = returned;
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
