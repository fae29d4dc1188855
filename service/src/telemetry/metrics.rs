//! Exported metrics of server, process and host, with names of the semantic conventions.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cctf_proto::keys;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Histogram, Meter};

use super::host::{Host, HostSample, LastCollection, process_cpu, process_memory};
use crate::stats::Stats;

/// The bounds that the semantic conventions recommend, and finer ones for work of microseconds.
const DURATION_BOUNDS_S: [f64; 20] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5,
    0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

type Gauge = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Sources of the observed values.
pub struct Sources {
    pub stats: Arc<Stats>,
    pub queue_length: Gauge,
    /// `None`: unlimited, so that no queue is reported.
    pub workers: Option<u64>,
}

/// Instruments that record finished requests.
#[derive(Debug, Clone)]
pub struct Instruments {
    duration: Histogram<f64>,
}

impl Instruments {
    /// Registers all instruments. `interval` is the time between collections.
    pub fn new(meter: &Meter, sources: Sources, interval: Duration) -> Self {
        server(meter, sources);
        // Half an interval: the collection at shutdown gets a sample only if it covers enough time for a row.
        let host = Arc::new(Mutex::new(Host::new(interval / 2)));
        process(meter);
        system(meter, &host);
        devices(meter, &host);
        let duration = meter
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_boundaries(DURATION_BOUNDS_S.to_vec())
            .build();
        Self { duration }
    }

    pub fn finished(&self, method: &'static str, route: Option<&'static str>, status: u16, seconds: f64) {
        let attributes = [
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.response.status_code", i64::from(status)),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new("http.route", route.unwrap_or("")),
        ];
        let recorded = if route.is_some() {
            &attributes[..]
        } else {
            &attributes[..3]
        };
        self.duration.record(seconds, recorded);
    }
}

fn server(meter: &Meter, sources: Sources) {
    let Sources {
        stats,
        queue_length,
        workers,
    } = sources;
    meter
        .i64_observable_up_down_counter("http.server.active_requests")
        .with_unit("{request}")
        .with_callback(move |observer| {
            for (method, active) in stats.active_by_method() {
                let attributes = [
                    KeyValue::new("http.request.method", method),
                    KeyValue::new("url.scheme", "http"),
                ];
                observer.observe(active, &attributes);
            }
        })
        .build();
    let Some(workers) = workers else { return };
    meter
        .u64_observable_gauge(keys::METRIC_QUEUE_LENGTH)
        .with_unit("{request}")
        .with_callback(move |observer| observer.observe(queue_length(), &[]))
        .build();
    meter
        .u64_observable_gauge(keys::METRIC_WORKERS)
        .with_unit("{worker}")
        .with_callback(move |observer| observer.observe(workers, &[]))
        .build();
}

/// A callback that observes values of the collection's sample.
fn observe_host<T>(
    host: &Arc<Mutex<Host>>,
    observe: impl Fn(&HostSample, &dyn AsyncInstrument<T>) + Send + Sync + 'static,
) -> impl Fn(&dyn AsyncInstrument<T>) + Send + Sync + 'static {
    let host = host.clone();
    let last = Mutex::new(LastCollection::default());
    move |observer| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut host = host.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sample) = host.sample(&mut last) {
            observe(sample, observer);
        }
    }
}

fn observe_host_bytes(
    meter: &Meter,
    name: &'static str,
    host: &Arc<Mutex<Host>>,
    bytes: impl Fn(&HostSample) -> u64 + Send + Sync + 'static,
) {
    meter
        .i64_observable_up_down_counter(name)
        .with_unit("By")
        .with_callback(observe_host(host, move |sample, observer| {
            observer.observe(i64::try_from(bytes(sample)).unwrap_or(i64::MAX), &[]);
        }))
        .build();
}

fn process(meter: &Meter) {
    meter
        .f64_observable_counter("process.cpu.time")
        .with_unit("s")
        .with_callback(|observer| {
            let (user, system) = process_cpu();
            observer.observe(user, &[KeyValue::new("cpu.mode", "user")]);
            observer.observe(system, &[KeyValue::new("cpu.mode", "system")]);
        })
        .build();
    meter
        .i64_observable_up_down_counter("process.memory.usage")
        .with_unit("By")
        .with_callback(|observer| {
            if let Some(bytes) = process_memory() {
                observer.observe(i64::try_from(bytes).unwrap_or(i64::MAX), &[]);
            }
        })
        .build();
}

fn system(meter: &Meter, host: &Arc<Mutex<Host>>) {
    meter
        .f64_observable_gauge("system.cpu.utilization")
        .with_unit("1")
        .with_callback(observe_host(host, |sample, observer| {
            if let Some(busy) = sample.cpu_utilization {
                observer.observe(busy, &[]);
            }
        }))
        .build();
    meter
        .f64_observable_gauge("system.cpu.load_average.1m")
        .with_unit("{thread}")
        .with_callback(observe_host(host, |sample, observer| {
            if let Some(load) = sample.load_1m {
                observer.observe(load, &[]);
            }
        }))
        .build();
    meter
        .i64_observable_up_down_counter("system.memory.usage")
        .with_unit("By")
        .with_callback(observe_host(host, |sample, observer| {
            let used = sample.memory_total.saturating_sub(sample.memory_available);
            let cached = sample.memory_available.saturating_sub(sample.memory_free);
            for (state, bytes) in [("used", used), ("cached", cached), ("free", sample.memory_free)] {
                observer.observe(
                    i64::try_from(bytes).unwrap_or(i64::MAX),
                    &[KeyValue::new("system.memory.state", state)],
                );
            }
        }))
        .build();
    observe_host_bytes(meter, "system.memory.limit", host, |sample| sample.memory_total);
    observe_host_bytes(meter, "system.linux.memory.available", host, |sample| {
        sample.memory_available
    });
}

fn devices(meter: &Meter, host: &Arc<Mutex<Host>>) {
    meter
        .u64_observable_counter("system.network.io")
        .with_unit("By")
        .with_callback(observe_host(host, |sample, observer| {
            for (name, (received, sent)) in &sample.network {
                let interface = KeyValue::new("network.interface.name", name.clone());
                for (direction, bytes) in [("receive", received), ("transmit", sent)] {
                    let direction = KeyValue::new("network.io.direction", direction);
                    let at_edge = KeyValue::new(keys::NETWORK_EDGE, true);
                    observer.observe(*bytes, &[interface.clone(), direction, at_edge]);
                }
            }
        }))
        .build();
    meter
        .u64_observable_counter("system.disk.io")
        .with_unit("By")
        .with_callback(observe_host(host, |sample, observer| {
            for (name, (read, written)) in &sample.disks {
                let device = KeyValue::new("system.device", name.clone());
                for (direction, bytes) in [("read", read), ("write", written)] {
                    observer.observe(
                        *bytes,
                        &[device.clone(), KeyValue::new("disk.io.direction", direction)],
                    );
                }
            }
        }))
        .build();
}
