//! [`Request`]: a request that this program answers, and the calls that it makes. [`Program`]: the callees and the telemetry,
//! which all requests share.
//!
//! Times vary between requests, but not between runs: they depend on the route, the number of the request and the step.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use cctf_proto::keys;
use e2e::branches::ROUTES;
use e2e::otlp::{attribute, now_unix_ns};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::Empty;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::telemetry::{Telemetry, new_id, number, statuses};

/// Minimum time that a callee takes, and the range above it. The range is wide, so that calls of independent branches often end
/// in either order.
const CALL_US: [u64; 2] = [2_000, 20_000];
/// Minimum time and range of a short call.
const SHORT_CALL_US: [u64; 2] = [1_000, 1_000];
/// Minimum time and range of the program's own work.
const OWN_US: [u64; 2] = [1_000, 1_000];

/// The callees of this program, and its telemetry.
pub struct Program {
    callees: HashMap<String, String>,
    client: Client<HttpConnector, Empty<Bytes>>,
    telemetry: Arc<Telemetry>,
    /// Number of requests so far, for each route.
    counts: [AtomicU64; ROUTES.len()],
}

impl Program {
    pub fn new(callees: HashMap<String, String>, telemetry: Arc<Telemetry>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            callees,
            client: Client::builder(TokioExecutor::new()).build(connector),
            telemetry,
            counts: Default::default(),
        }
    }

    fn next_number(&self, route: &str) -> u64 {
        let place = ROUTES.iter().position(|of| *of == route);
        place.map_or(0, |place| self.counts[place].fetch_add(1, Ordering::Relaxed))
    }
}

/// A request in progress. Clones belong to the same request.
#[derive(Clone)]
pub struct Request {
    facts: Arc<Facts>,
    /// The parent of the spans of calls.
    parent: u64,
}

struct Facts {
    program: Arc<Program>,
    route: &'static str,
    number: u64,
    trace: u128,
    baggage: Option<HeaderValue>,
    run_id: Option<String>,
    /// The server span, which has no end yet.
    server_span: Span,
}

/// A span within a request. Calls through `request` have this span as their parent.
pub struct InnerSpan {
    pub request: Request,
    span: Span,
}

impl InnerSpan {
    pub fn end(self) {
        self.request.facts.program.telemetry.end(self.span);
    }
}

impl Request {
    /// Begins a request. `headers` can contain the caller's span.
    pub fn begin(program: Arc<Program>, route: &'static str, headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (trace, caller) = text("traceparent").and_then(context_of).unzip();
        let trace = trace.unwrap_or_else(|| u128::from(new_id()) << 64 | u128::from(new_id()));
        let member = |member: &str| {
            Some(
                member
                    .trim()
                    .strip_prefix(keys::RUN_ID)?
                    .strip_prefix('=')?
                    .to_owned(),
            )
        };
        let run_id = text("baggage").and_then(|baggage| baggage.split(',').find_map(member));
        let own = new_id();
        let server_span = Span {
            trace_id: trace.to_be_bytes().to_vec(),
            span_id: own.to_be_bytes().to_vec(),
            parent_span_id: caller.map_or(Vec::new(), |caller: u64| caller.to_be_bytes().to_vec()),
            name: format!("GET {route}"),
            kind: SpanKind::Server.into(),
            start_time_unix_nano: now_unix_ns(),
            ..Span::default()
        };
        let facts = Facts {
            number: program.next_number(route),
            program,
            route,
            trace,
            baggage: headers.get("baggage").cloned(),
            run_id,
            server_span,
        };
        Self {
            facts: Arc::new(facts),
            parent: own,
        }
    }

    /// Number of this request among the requests of its route.
    pub fn number(&self) -> u64 {
        self.facts.number
    }

    /// Reports the server span of the request. Calls can still be made afterwards.
    pub fn end(&self, status: StatusCode) {
        let mut span = self.facts.server_span.clone();
        span.attributes = [
            ("http.request.method", "GET"),
            ("url.scheme", "http"),
            ("url.path", self.facts.route),
            ("http.route", self.facts.route),
        ]
        .map(|(key, value)| attribute(key, value))
        .to_vec();
        span.attributes.extend(self.run_id());
        statuses(&mut span, status);
        self.facts.program.telemetry.end(span);
    }

    fn run_id(&self) -> Option<KeyValue> {
        let run_id = self.facts.run_id.as_deref();
        run_id.map(|run_id| attribute(keys::RUN_ID, run_id))
    }

    /// Waits, as a stand-in for the program's own work.
    pub async fn own(&self, step: &str) {
        tokio::time::sleep(Duration::from_micros(self.draw_us(&("own", step), OWN_US))).await;
    }

    /// A call that must succeed.
    pub async fn call(&self, name: &str) -> anyhow::Result<()> {
        self.call_within(name, CALL_US).await
    }

    /// Like [`Request::call`], with a short time.
    pub async fn short_call(&self, name: &str) -> anyhow::Result<()> {
        self.call_within(name, SHORT_CALL_US).await
    }

    async fn call_within(&self, name: &str, range_us: [u64; 2]) -> anyhow::Result<()> {
        let us = self.draw_us(&(name, 0), range_us);
        let status = self.send(name, 0, &format!("us={us}")).await?;
        ensure!(status.is_success(), "{name} answered {status}");
        Ok(())
    }

    /// Calls `name` once, and returns the status. `earlier` is the number of earlier attempts.
    pub async fn attempt(&self, name: &str, earlier: u32, fails: bool) -> anyhow::Result<StatusCode> {
        let us = self.draw_us(&(name, earlier), CALL_US);
        let fails = if fails { "&fails" } else { "" };
        self.send(name, earlier, &format!("us={us}{fails}")).await
    }

    /// Begins a span whose parent is the current span.
    pub fn inner_span(&self, name: &str) -> InnerSpan {
        let span = self.span(name.to_owned(), SpanKind::Internal);
        let request = Self {
            facts: Arc::clone(&self.facts),
            parent: id_of(&span),
        };
        InnerSpan { request, span }
    }

    fn span(&self, name: String, kind: SpanKind) -> Span {
        Span {
            trace_id: self.facts.trace.to_be_bytes().to_vec(),
            span_id: new_id().to_be_bytes().to_vec(),
            parent_span_id: self.parent.to_be_bytes().to_vec(),
            name,
            kind: kind.into(),
            start_time_unix_nano: now_unix_ns(),
            attributes: self.run_id().into_iter().collect(),
            ..Span::default()
        }
    }

    async fn send(&self, name: &str, earlier: u32, query: &str) -> anyhow::Result<StatusCode> {
        let url = self.facts.program.callees.get(name);
        let url = url.with_context(|| format!("no --call {name}"))?;
        let mut span = self.span("GET".to_owned(), SpanKind::Client);
        let mut request = http::Request::get(format!("{url}/work?{query}")).header(
            "traceparent",
            format!("00-{:032x}-{:016x}-01", self.facts.trace, id_of(&span)),
        );
        if let Some(baggage) = &self.facts.baggage {
            request = request.header("baggage", baggage);
        }
        let answer = self.facts.program.client.request(request.body(Empty::new())?);
        let status = answer
            .await
            .with_context(|| format!("cannot call {name}"))?
            .status();
        span.attributes.extend([
            attribute("http.request.method", "GET"),
            attribute("url.full", &format!("{url}/work")),
            attribute("server.address", name),
        ]);
        if earlier > 0 {
            span.attributes
                .push(number("http.request.resend_count", earlier.into()));
        }
        statuses(&mut span, status);
        self.facts.program.telemetry.end(span);
        Ok(status)
    }

    /// The time of a step of this request.
    fn draw_us<T: std::hash::Hash>(&self, step: &T, [least, more]: [u64; 2]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.facts.route, self.facts.number, step).hash(&mut hasher);
        least + hasher.finish() % more
    }
}

fn id_of(span: &Span) -> u64 {
    let bytes = span.span_id.as_slice().try_into();
    u64::from_be_bytes(bytes.unwrap_or_default())
}

/// Trace and span of a `traceparent`.
fn context_of(text: &str) -> Option<(u128, u64)> {
    let mut parts = text.split('-').skip(1);
    let trace = u128::from_str_radix(parts.next()?, 16).ok()?;
    let span = u64::from_str_radix(parts.next()?, 16).ok()?;
    Some((trace, span))
}
