//! [`Service`]: the state shared by I/O threads, slots and the admin listener.

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

pub struct Service {
    pub settings: Settings,
    /// The only clock for timestamps.
    pub clock: Clock,
    pub queue: Arc<Queue<Item>>,
    pub stats: Arc<Stats>,
    pub store: Store,
    pub forwarder: Forwarder,
    /// Starts SERVER spans; none without a receiver of spans.
    pub tracer: Option<SdkTracer>,
    /// Records durations; none without a receiver of metrics.
    pub instruments: Option<Instruments>,
    pub span_counts: Arc<SpanCounts>,
    /// Set as soon as no new connections are accepted.
    pub draining: AtomicBool,
}

impl Service {
    /// Records a finished request in counters, metrics and trace. Returns its answer.
    pub fn record(&self, done: Done) -> Answer {
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

    /// Counts a failed call to a next hop.
    pub fn count_call(&self, report: &NextReport) {
        if report.error.is_some() {
            self.stats.next_failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}
