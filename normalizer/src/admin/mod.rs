//! [`Admin`]: the service of the admin listener, with liveness, readiness, metrics and the live page.

mod chart;
mod events;
mod healthcheck;
mod history;
mod metrics;
mod page;
mod report_command;
mod sources;
mod state;
mod view;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::service::Service;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use self::events::{Events, VIEWERS_MAX};
use self::history::{History, INTERVAL};
use self::sources::Sources;
use self::state::State;
use self::view::View;
use crate::journal::Journal;
use crate::receiver::Counters;
use crate::worker::Progress;

pub use healthcheck::{HealthcheckError, healthcheck};

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const EVENT_STREAM: &str = "text/event-stream";

#[derive(Clone)]
pub struct Admin {
    shared: Arc<Shared>,
}

struct Shared {
    sources: Sources,
    history: Mutex<History>,
    events: Events,
}

/// An event: the same state as numbers and as the page's texts.
#[derive(Serialize)]
struct Event<'a> {
    state: &'a State,
    page: View,
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

impl Admin {
    /// `out_dir` is the folder of all runs.
    pub fn new(counters: Arc<Counters>, journal: Journal, progress: Arc<Progress>, out_dir: PathBuf) -> Self {
        let sources = Sources {
            counters,
            journal,
            progress,
            out_dir,
            started: Instant::now(),
        };
        Self {
            shared: Arc::new(Shared {
                sources,
                history: Mutex::default(),
                events: Events::default(),
            }),
        }
    }

    /// Samples the counts once a second and sends the state to the viewers, until `stop` becomes true.
    pub async fn watch(self, mut stop: watch::Receiver<bool>) {
        let mut seconds = tokio::time::interval(INTERVAL);
        seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = seconds.tick() => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            self.shared.sample(Instant::now());
            self.shared.sources.progress.request_live();
            if self.shared.events.has_viewers() {
                self.shared.events.publish(&self.shared.event());
            }
        }
        self.shared.events.end();
    }

    fn answer(&self, method: &Method, path: &str) -> Answer {
        if method != Method::GET && method != Method::HEAD {
            let mut response = respond(
                StatusCode::METHOD_NOT_ALLOWED,
                TEXT,
                "method not allowed, use GET\n",
            );
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let sources = &self.shared.sources;
        match path {
            "/livez" => respond(StatusCode::OK, TEXT, "ok\n"),
            "/readyz" => match sources.refusal_reason() {
                None => respond(StatusCode::OK, TEXT, "ok\n"),
                Some(reason) => respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, reason),
            },
            "/metrics" => respond(StatusCode::OK, METRICS, metrics::render(sources)),
            "/" => page_answer(&View::new(&self.shared.state(Instant::now()))),
            // A HEAD request gets no body: otherwise a stream would start, and a viewer would be counted, although nobody reads
            // it.
            "/events" if method == Method::HEAD => respond(StatusCode::OK, EVENT_STREAM, ""),
            "/events" => self.stream(),
            _ => respond(
                StatusCode::NOT_FOUND,
                TEXT,
                "not found, use /, /events, /livez, /readyz or /metrics\n",
            ),
        }
    }

    fn stream(&self) -> Answer {
        let Some(stream) = self.shared.events.subscribe(|| self.shared.event()) else {
            let sentence =
                format!("{VIEWERS_MAX} viewers follow the live page already; close one and try again\n");
            let mut response = respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, sentence);
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("5"));
            return response;
        };
        with_headers(Response::new(stream.boxed()), EVENT_STREAM)
    }
}

impl Shared {
    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sample(&self, now: Instant) {
        let totals = self.sources.totals();
        let progress = &self.sources.progress;
        let (first, last) = (progress.first_live(), progress.live());
        let mut history = self.history();
        history.sample(now, totals);
        if let Some(first) = first {
            history.mark(first.at, &first.figures);
        }
        // While the pipeline is idle, it publishes nothing. Its last figures are then still valid.
        if let Some(last) = last {
            history.mark(last.holds_at(now), &last.figures);
        }
    }

    fn state(&self, now: Instant) -> State {
        State::new(&self.sources, &self.history(), now)
    }

    /// The state as compact JSON.
    fn event(&self) -> String {
        let state = self.state(Instant::now());
        let page = View::new(&state);
        let event = Event { state: &state, page };
        // Serializing numbers and texts cannot fail.
        serde_json::to_string(&event).unwrap_or_default()
    }
}

impl<B> Service<Request<B>> for Admin {
    type Response = Answer;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(request.method(), request.uri().path())))
    }
}

/// The page contains its Content-Security-Policy in a `meta` element. Only `frame-ancestors` must be a header, because browsers
/// ignore it in the element.
fn page_answer(view: &View) -> Answer {
    let mut response = respond(StatusCode::OK, HTML, page::page(view));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("frame-ancestors 'none'"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = with_headers(Response::new(Full::new(body.into()).boxed()), content_type);
    *response.status_mut() = status;
    response
}

fn with_headers(mut response: Answer, content_type: &'static str) -> Answer {
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::metrics::v1::{
        Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
    };
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message as _;

    use super::history::WINDOW;
    use super::*;
    use crate::journal::{self, QueueLimits, Signal};
    use crate::pipeline::{Pipeline, Settings};
    use crate::sink::Sink;
    use crate::worker::Worker;

    fn resource() -> Option<Resource> {
        let attributes = ["service.name", "service.instance.id", "host.name"].map(|key| KeyValue {
            key: key.to_owned(),
            value: Some(AnyValue {
                value: Some(any_value::Value::StringValue("cart".to_owned())),
            }),
            ..KeyValue::default()
        });
        Some(Resource {
            attributes: attributes.into(),
            ..Resource::default()
        })
    }

    fn requests_in_progress(count: i64) -> Bytes {
        let point = NumberDataPoint {
            time_unix_nano: 1_700_000_000_000_000_000,
            value: Some(number_data_point::Value::AsInt(count)),
            ..NumberDataPoint::default()
        };
        let sum = Sum {
            data_points: vec![point],
            aggregation_temporality: 2,
            is_monotonic: false,
        };
        let metric = Metric {
            name: "http.server.active_requests".to_owned(),
            data: Some(metric::Data::Sum(sum)),
            ..Metric::default()
        };
        let scope_metrics = vec![ScopeMetrics {
            metrics: vec![metric],
            ..ScopeMetrics::default()
        }];
        let resource_metrics = vec![ResourceMetrics {
            resource: resource(),
            scope_metrics,
            ..ResourceMetrics::default()
        }];
        ExportMetricsServiceRequest { resource_metrics }
            .encode_to_vec()
            .into()
    }

    fn root_span() -> Bytes {
        let span = Span {
            trace_id: vec![7; 16],
            span_id: vec![1; 8],
            kind: 2,
            start_time_unix_nano: 1_700_000_000_000_000_000,
            end_time_unix_nano: 1_700_000_000_005_000_000,
            ..Span::default()
        };
        let scope_spans = vec![ScopeSpans {
            spans: vec![span],
            ..ScopeSpans::default()
        }];
        let resource_spans = vec![ResourceSpans {
            resource: resource(),
            scope_spans,
            ..ResourceSpans::default()
        }];
        ExportTraceServiceRequest { resource_spans }
            .encode_to_vec()
            .into()
    }

    #[test]
    fn calls_and_samples_leave_the_window_of_a_pipeline_that_is_idle() {
        let folder = tempfile::tempdir().unwrap();
        let limits = QueueLimits {
            requests_max: 10,
            bytes_max: 1 << 20,
        };
        let (journal, reader) = journal::open(limits, journal::wall_clock(0));
        for (signal, body) in [
            (Signal::Traces, root_span()),
            (Signal::Metrics, requests_in_progress(3)),
        ] {
            journal.append(signal, body).map(drop).unwrap();
        }
        journal.close();
        let pipeline = Pipeline::new(Settings::default());
        let worker = Worker::new((journal.clone(), reader), pipeline, Sink::new(folder.path()));
        let progress = worker.progress();
        worker.run().unwrap();

        let admin = Admin::new(Arc::default(), journal, progress, folder.path().to_owned());
        let start = Instant::now();
        let shown_at = |seconds| {
            let now = start + seconds * INTERVAL;
            admin.shared.sample(now);
            let state = admin.shared.state(now);
            assert!(
                state.window_s <= (WINDOW + 11 * INTERVAL).as_secs_f64(),
                "{}",
                state.window_s
            );
            let (module, node) = (&state.modules.shown[0], &state.nodes.shown[0]);
            assert_eq!(module.in_flight, node.in_flight);
            (module.calls, module.in_flight)
        };
        let shown: Vec<(u64, Option<f64>)> = (0..=100).map(shown_at).collect();
        assert_eq!((shown[0], shown[50]), ((1, Some(3.0)), (1, Some(3.0))));
        assert_eq!((shown[80], shown[100]), ((0, None), (0, None)));
    }

    #[test]
    fn it_is_ready_unless_requests_are_refused() {
        let limits = QueueLimits {
            requests_max: 1,
            bytes_max: 1,
        };
        let (journal, _reader) = journal::open(limits, journal::wall_clock(0));
        let admin = Admin::new(Arc::default(), journal.clone(), Arc::default(), "logs".into());
        let status = |path| admin.answer(&Method::GET, path).status().as_u16();
        assert_eq!(
            (status("/livez"), status("/readyz"), status("/")),
            (200, 200, 200)
        );
        journal.set_disk_full(journal::DiskFull::Files, true);
        assert_eq!((status("/livez"), status("/readyz")), (200, 503));
        journal.set_disk_full(journal::DiskFull::Files, false);
        journal.close();
        assert_eq!((status("/livez"), status("/readyz")), (200, 503));
        assert_eq!(admin.answer(&Method::POST, "/livez").status().as_u16(), 405);
    }
}
