//! The queueing station: worker slots behind a bounded first-come queue.
//!
//! `queue` is the line, `slot` the servers, `scheduling` what the kernel is asked for them, `meter` and `measured` charge each
//! request for what it alone uses.

pub mod measured;
pub mod queue;
pub mod scheduling;
pub mod slot;

use tokio::sync::oneshot;

use crate::endpoints::Endpoint;
use crate::request::{Answer, Request};
use crate::stats::Active;
use crate::telemetry::server_span::{RequestTrace, Times};

/// An admitted request on its way to a slot.
pub struct Job {
    /// What to run.
    pub endpoint: &'static Endpoint,
    /// On what.
    pub request: Request,
    /// The rest, which comes back with the answer.
    pub ticket: Ticket,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Done>,
}

/// What belongs to a request from its admission to its end.
pub struct Ticket {
    /// Its place in its trace.
    pub trace: RequestTrace,
    /// Counts it as active while it lives.
    pub active: Active,
    /// HTTP method.
    pub method: &'static str,
    /// The route that matched.
    pub route: Option<&'static str>,
    /// When the last byte of its body had been read.
    pub enqueue_ns: u64,
}

/// A finished request.
pub struct Done {
    /// What the caller gets.
    pub answer: Answer,
    /// When it was worked on and what that used.
    pub times: Times,
    /// What it was admitted with.
    pub ticket: Ticket,
}

/// What waits in the queue.
pub enum Item {
    /// A request that no slot has touched.
    New(Box<Job>),
    /// A request that gave its slot away while it slept or called, and needs one to finish.
    Back(Box<Returned>),
}

/// A request after its sleep or call, under the policy `released`.
pub struct Returned {
    answer: Answer,
    times: Times,
    ticket: Ticket,
    reply: oneshot::Sender<Done>,
    /// When it was queued again.
    back_ns: u64,
}
