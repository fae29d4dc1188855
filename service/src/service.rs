//! What all threads of the service share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry_sdk::trace::SdkTracer;

use crate::clock::Clock;
use crate::forward::Forwarder;
use crate::kv::Store;
use crate::request::{Answer, NextReport};
use crate::settings::Settings;
use crate::station::queue::Queue;
use crate::station::{Done, Item};
use crate::stats::Stats;
use crate::telemetry::metrics::Instruments;
use crate::telemetry::span_queue::SpanCounts;

/// The service's state, shared by I/O threads, slots and the admin listener.
pub struct Service {
    /// Its settings.
    pub settings: Settings,
    /// Its only clock.
    pub clock: Clock,
    /// The queue in front of the slots.
    pub queue: Arc<Queue<Item>>,
    /// Counts.
    pub stats: Arc<Stats>,
    /// The key-value store.
    pub store: Store,
    /// Calls to next hops.
    pub forwarder: Forwarder,
    /// Makes SERVER spans, if they go anywhere.
    pub tracer: Option<SdkTracer>,
    /// Takes durations, if they go anywhere.
    pub instruments: Option<Instruments>,
    /// What became of spans.
    pub span_counts: Arc<SpanCounts>,
    /// Set once no new connection is taken.
    pub draining: AtomicBool,
}

impl Service {
    /// Tells a finished request to telemetry, and gives back what its caller gets.
    pub fn tell(&self, done: Done) -> Answer {
        let Done {
            answer,
            times,
            ticket,
        } = done;
        ticket.active.finished(answer.status);
        if let Some(instruments) = &self.instruments {
            let seconds = times.end_ns.saturating_sub(times.enqueue_ns) as f64 / 1e9;
            instruments.finished(ticket.method, ticket.route, answer.status, seconds);
        }
        ticket.trace.end(&times, answer.status, answer.body.len() as u64);
        answer
    }

    /// Counts what became of a call.
    pub fn count(&self, report: &NextReport) {
        if report.error.is_some() {
            self.stats.next_failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether no new connection is taken any more.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
