//! The queueing station: worker slots behind a bounded first-come, first-served queue.
//!
//! `queue` holds waiting requests, `slot` works on them, and `scheduling` sets how the kernel schedules slots. `measured`
//! charges each request for the CPU time of its own polls.

pub mod measured;
pub mod queue;
pub mod scheduling;
pub mod slot;

use tokio::sync::oneshot;

use crate::endpoints::Endpoint;
use crate::request::{Answer, Request};
use crate::stats::Active;
use crate::telemetry::server_span::{RequestTrace, Times};

/// An admitted request that no slot has taken yet.
pub struct Job {
    pub endpoint: &'static Endpoint,
    pub request: Request,
    pub ticket: Ticket,
    pub reply: oneshot::Sender<Done>,
}

/// The data of a request from its admission to its end.
pub struct Ticket {
    pub trace: RequestTrace,
    pub active: Active,
    pub method: &'static str,
    /// The matching route; none if the request matches no endpoint.
    pub route: Option<&'static str>,
    /// Time at which the last byte of the body was read.
    pub enqueue_ns: u64,
}

/// Two timestamps: when a slot takes a request, and when a slot became free to take it.
#[derive(Debug, Clone, Copy)]
pub struct Begin {
    pub start_ns: u64,
    pub free_since_ns: u64,
}

impl Begin {
    /// The times of a request that this slot takes.
    pub fn times(self, enqueue_ns: u64) -> Times {
        let could_start_ns = enqueue_ns.max(self.free_since_ns);
        Times {
            enqueue_ns,
            start_ns: Some(self.start_ns),
            wakeup_ns: self.start_ns.saturating_sub(could_start_ns),
            ..Times::default()
        }
    }
}

/// A request with all its timestamps, whose answer is not yet sent.
pub struct Finished {
    pub reply: oneshot::Sender<Done>,
    pub done: Done,
}

/// Work for a slot that does not come from an endpoint: the plan of a stand-in.
pub trait Task: Send {
    /// Works on the slot's thread. Returns none if the request has released its slot.
    fn run(self: Box<Self>, begin: Begin) -> Option<Finished>;

    /// Refuses the request, because the queue is full.
    fn refuse(self: Box<Self>) -> Ticket;
}

/// A finished request.
pub struct Done {
    pub answer: Answer,
    pub times: Times,
    pub ticket: Ticket,
}

/// An entry of the queue.
pub enum Item {
    New(Box<Job>),
    /// A request that released its slot for a sleep or call, and needs a slot to finish.
    Back(Box<Returned>),
    /// A planned request, new or returned.
    Task(Box<dyn Task>),
}

/// A request after its sleep or call, under the policy `released`.
pub struct Returned {
    answer: Answer,
    times: Times,
    ticket: Ticket,
    reply: oneshot::Sender<Done>,
    /// Time at which it was queued again.
    back_ns: u64,
}
