//! Export of spans and metrics, and logging: starts and stops all of it.
//!
//! `server_span`, `planned_span` and `inner` create spans, `encode` writes them as OTLP, and `span_queue` keeps them until
//! `transport` has delivered them. The SDK's reader collects `metrics` and `host`, and `metric_sender` sends them. `placement`
//! reports start and stop of the instance, and `resource` describes the instance and its node.

pub mod cgroup;
pub mod encode;
pub mod host;
pub mod ids;
pub mod inner;
pub mod interfaces;
pub mod metric_sender;
pub mod metrics;
pub mod placement;
pub mod planned_span;
pub mod resource;
pub mod server_span;
pub mod span_queue;
pub mod transport;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use cctf_proto::keys;
use cctf_proto::log_line;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use otlp_send::Sender;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, filter};

use self::metrics::{Instruments, Sources};
use self::span_queue::{Limits, SpanCounts, SpanQueue};
use crate::clock::Clock;
use crate::settings::{OtelSettings, Settings};

/// Instrumentation scope of SERVER spans and metrics.
pub const SCOPE: &str = "tunable-svc";

/// Running telemetry.
pub struct Telemetry {
    /// Starts SERVER spans; none without a receiver of spans.
    pub tracer: Option<SdkTracer>,
    /// Records request durations; none without a receiver of metrics.
    pub instruments: Option<Instruments>,
    pub span_counts: Arc<SpanCounts>,
    spans: Option<(SdkTracerProvider, SpanQueue)>,
    meters: Option<SdkMeterProvider>,
    flush_timeout: Duration,
    // Dropped last, because its tasks serve everything above.
    _runtime: Option<tokio::runtime::Runtime>,
}

impl Telemetry {
    /// Starts logging, and telemetry according to the settings.
    ///
    /// # Errors
    /// The certificates are invalid, or the system refuses a thread.
    pub fn start(settings: &Settings, clock: Clock, sources: Sources) -> anyhow::Result<Self> {
        let otel = &settings.otel;
        for warning in &otel.warnings {
            log_line!("tunable-svc: warning: {warning}");
        }
        let mut telemetry = Self {
            tracer: None,
            instruments: None,
            span_counts: Arc::default(),
            spans: None,
            meters: None,
            flush_timeout: otel.flush_timeout,
            _runtime: None,
        };
        if otel.traces.is_some() || otel.metrics.is_some() {
            let runtime = start_runtime().context("cannot start the telemetry thread")?;
            let resource = resource::describe(settings);
            telemetry.start_spans(otel, &resource, clock, runtime.handle())?;
            telemetry.start_metrics(otel, resource, sources, runtime.handle())?;
            telemetry._runtime = Some(runtime);
        }
        start_tracing(
            telemetry
                .spans
                .as_ref()
                .map(|(provider, _)| provider.tracer(inner::SCOPE)),
        );
        Ok(telemetry)
    }

    fn start_spans(
        &mut self,
        otel: &OtelSettings,
        resource: &Resource,
        clock: Clock,
        runtime: &tokio::runtime::Handle,
    ) -> anyhow::Result<()> {
        let Some(destination) = &otel.traces else {
            return Ok(());
        };
        let sender = sender(destination, runtime)?;
        let transport = transport::SpanSender::new(sender, runtime.clone());
        let limits = Limits {
            queue_size: otel.span_queue_size,
            batch_size: otel.span_batch_size,
            schedule_delay: otel.span_schedule_delay,
        };
        let queue = SpanQueue::start(limits, clock, self.span_counts.clone(), resource, transport)
            .context("cannot start the thread that sends spans")?;
        let provider = SdkTracerProvider::builder()
            .with_id_generator(ids::Ids::default())
            .with_sampler(otel.sampler.clone())
            .with_span_processor(queue.clone())
            .with_resource(resource.clone())
            .build();
        self.tracer = Some(provider.tracer(SCOPE));
        self.spans = Some((provider, queue));
        Ok(())
    }

    fn start_metrics(
        &mut self,
        otel: &OtelSettings,
        resource: Resource,
        sources: Sources,
        runtime: &tokio::runtime::Handle,
    ) -> anyhow::Result<()> {
        let Some(destination) = &otel.metrics else {
            return Ok(());
        };
        let sender = sender(destination, runtime)?;
        let exporter = metric_sender::MetricSender::new(sender, otel.temporality, runtime.clone());
        let interval = otel.metric_export_interval;
        let reader = PeriodicReader::builder(exporter).with_interval(interval).build();
        let provider = SdkMeterProvider::builder()
            .with_reader(reader)
            .with_resource(resource)
            .build();
        self.instruments = Some(Instruments::new(&provider.meter(SCOPE), sources, interval));
        self.meters = Some(provider);
        Ok(())
    }

    /// Reports the start of this instance without delay.
    pub fn report_start(&self, settings: &Settings, clock: Clock) {
        if let Some((provider, queue)) = &self.spans {
            placement::report_start(&provider.tracer(keys::CONTROL_SCOPE), settings, clock.now_ns());
            queue.flush_soon();
        }
    }

    /// Reports the stop of this instance and sends all remaining telemetry. Blocks, so it must not run on an HTTP thread.
    pub fn stop(&mut self, settings: &Settings, clock: Clock) {
        let meters = self.meters.take().map(|meters| {
            let timeout = self.flush_timeout;
            // In parallel with the spans, so that both have the whole time.
            std::thread::spawn(move || meters.shutdown_with_timeout(timeout))
        });
        if let Some((provider, _)) = self.spans.take() {
            placement::report_stop(&provider.tracer(keys::CONTROL_SCOPE), settings, clock.now_ns());
            let _ = provider.shutdown_with_timeout(self.flush_timeout);
            let dropped = self.span_counts.dropped.load(Ordering::Relaxed);
            if dropped > 0 {
                log_line!("tunable-svc: {dropped} spans were dropped and are missing in their traces");
            }
        }
        if let Some(thread) = meters {
            wait_for(&thread, self.flush_timeout);
        }
    }
}

fn sender(destination: &otlp_send::Destination, runtime: &tokio::runtime::Handle) -> anyhow::Result<Sender> {
    let _inside = runtime.enter();
    Sender::new(destination).with_context(|| format!("cannot send to {destination}"))
}

fn wait_for<T>(thread: &std::thread::JoinHandle<T>, timeout: Duration) {
    let deadline = std::time::Instant::now() + timeout;
    while !thread.is_finished() && std::time::Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn start_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("telemetry")
        .enable_all()
        .build()
}

/// Sends log events to stderr, and spans of our own target to the tracer.
fn start_tracing(tracer: Option<SdkTracer>) {
    let ours = filter::filter_fn(|metadata| metadata.is_span() && metadata.target() == inner::TARGET)
        .with_max_level_hint(filter::LevelFilter::INFO);
    let spans = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_filter(ours)
    });
    let level = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,tunable_svc=info"));
    // Without this hint, the filter would examine every trace event of every library.
    let most_verbose = level.max_level_hint().unwrap_or(filter::LevelFilter::TRACE);
    let events = filter::filter_fn(|metadata| metadata.is_event()).with_max_level_hint(most_verbose);
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        // Reporting a failed write uses `eprintln!`, which would panic.
        .log_internal_errors(false)
        .with_filter(level)
        .with_filter(events);
    // Fails only if a subscriber is already set, as in a test.
    let _ = tracing_subscriber::registry().with(spans).with(logs).try_init();
}
