//! [`Calls`]: sends requests to other stand-ins, over persistent connections.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::SpanContext;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::counters::Counters;
use super::mailbox::{Answered, CallCpu, Failure, Mailbox};
use super::padded::Padded;
use crate::clock::Clock;
use crate::context;
use crate::headers::{HOP_COUNT_HEADER, PLAN_HEADER};
use crate::station::measured::{Measured, Thread};

/// Maximum number of idle connections to one stand-in. A process has at most this many slots. So if each slot makes one call at a
/// time, no call has to open a new connection.
const IDLE_CONNECTIONS_MAX: usize = 2_048;
/// Maximum time for which a connection stays idle. It is shorter than the time after which a service closes idle connections.
const IDLE_TIME_MAX: Duration = Duration::from_secs(60);
/// Maximum read buffer of a connection, which also bounds the answer's headers.
const READ_BUFFER_BYTES_MAX: usize = 64 << 10;
/// Maximum number of calls in flight. Each needs a connection, and a process has no more ports.
const IN_FLIGHT_MAX: usize = 65_536;
/// Maximum time for a connection to open.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Maximum time of a call: the maximum of a planned time. Without a maximum, a callee that never answers would occupy a slot
/// forever.
const EXCHANGE_TIME_MAX: Duration = Duration::from_nanos(standin::DURATION_NS_MAX);
/// Time without data after which the system checks whether the other machine still exists.
const KEEPALIVE_TIME: Duration = Duration::from_secs(60);

/// A request to a stand-in.
#[derive(Debug)]
pub struct Outgoing {
    pub method: &'static str,
    /// Address and path: `http://HOST:PORT/PATH`.
    pub url: String,
    pub context: Option<SpanContext>,
    pub baggage: Option<Arc<str>>,
    /// Number of hops of the request, including this one.
    pub hops: u32,
    pub work: Bytes,
    /// Recorded size of the body.
    pub body_bytes: u32,
}

/// Sends requests.
pub struct Calls {
    client: Client<HttpConnector, Padded>,
    runtime: Handle,
    clock: Clock,
    counters: Arc<Counters>,
    in_flight: Arc<AtomicUsize>,
}

/// A request in progress.
pub type Exchange = Pin<Box<dyn Future<Output = Exchanged> + Send>>;

/// The end of an exchange.
#[derive(Debug)]
pub struct Exchanged {
    pub at_ns: u64,
    pub result: Result<u16, Failure>,
    /// Response time of the callee, if it has executed a plan.
    pub response_ns: Option<u64>,
}

impl Exchanged {
    /// The answer for a call.
    pub fn of_call(self, call: usize, cpu: CallCpu) -> Answered {
        Answered {
            call,
            at_ns: self.at_ns,
            result: self.result,
            response_ns: self.response_ns,
            cpu,
        }
    }
}

/// Counts a call as in flight until this value is dropped.
struct InFlight(Arc<AtomicUsize>);

impl Calls {
    pub fn new(runtime: Handle, clock: Clock, counters: Arc<Counters>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIME_MAX));
        connector.set_keepalive(Some(KEEPALIVE_TIME));
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .pool_idle_timeout(IDLE_TIME_MAX)
            .http1_max_buf_size(READ_BUFFER_BYTES_MAX)
            .build(connector);
        Self {
            client,
            runtime,
            clock,
            counters,
            in_flight: Arc::default(),
        }
    }

    /// Returns a future that sends the request at its first poll. The future must be polled in the context of the runtime, and up
    /// to its end even if the call times out. Otherwise a part of the request may stay unwritten, and the callee would not do its
    /// work.
    ///
    /// # Errors
    /// Too many calls are in flight.
    pub fn exchange(&self, outgoing: Outgoing) -> Result<Exchange, Failure> {
        self.counters.calls.fetch_add(1, Ordering::Relaxed);
        let in_flight = self.enter()?;
        let (client, clock, counters) = (self.client.clone(), self.clock, self.counters.clone());
        Ok(Box::pin(async move {
            let exchange = timeout(EXCHANGE_TIME_MAX, exchange(client, outgoing, &counters)).await;
            let (result, response_ns) = match exchange.unwrap_or(Err(Failure::Broken)) {
                Ok((status, response_ns)) => (Ok(status), response_ns),
                Err(failure) => (Err(failure), None),
            };
            drop(in_flight);
            if result.is_err() {
                counters.calls_failed.fetch_add(1, Ordering::Relaxed);
            }
            Exchanged {
                at_ns: clock.now_ns(),
                result,
                response_ns,
            }
        }))
    }

    /// Sends a request on the thread of calls. The mailbox of `awaited_by` gets the answer for this call; if `awaited_by` is
    /// `None`, the answer is ignored.
    ///
    /// # Errors
    /// Too many calls are in flight.
    pub fn send(&self, outgoing: Outgoing, awaited_by: Option<(Arc<Mailbox>, usize)>) -> Result<(), Failure> {
        let exchange = self.exchange(outgoing)?;
        self.spawn(exchange, awaited_by);
        Ok(())
    }

    /// Sends a request, or continues to wait for its answer, on the thread of calls: the only thread of the runtime for calls.
    pub fn spawn(&self, exchange: Exchange, awaited_by: Option<(Arc<Mailbox>, usize)>) {
        // This task is never aborted.
        self.runtime.spawn(async move {
            let (exchanged, spent) = Measured::new(exchange, Thread::Shared).await;
            if let Some((mailbox, call)) = awaited_by {
                mailbox.put(exchanged.of_call(call, CallCpu::Elsewhere(spent.used)));
            }
        });
    }

    /// Number of requests that have no answer yet.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// The clock for the times of answers.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The runtime whose context exchanges need.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    fn enter(&self) -> Result<InFlight, Failure> {
        let others = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let in_flight = InFlight(self.in_flight.clone());
        if others < IN_FLIGHT_MAX {
            return Ok(in_flight);
        }
        self.counters.calls_failed.fetch_add(1, Ordering::Relaxed);
        Err(Failure::TooMany)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Returns the status after the last byte of the answer has arrived, and the response time that the callee reported.
async fn exchange(
    client: Client<HttpConnector, Padded>,
    outgoing: Outgoing,
    counters: &Counters,
) -> Result<(u16, Option<u64>), Failure> {
    let (plan, _) = standin::body(&outgoing.work, 0);
    let (body, larger_by) = Padded::new(plan, outgoing.body_bytes);
    if larger_by > 0 {
        counters.plan_is_larger(larger_by as u64);
    }
    let request = request(&outgoing, body).map_err(|_invalid| Failure::Broken)?;
    let answer = client.request(request).await.map_err(|error| {
        if error.is_connect() {
            Failure::Connect
        } else {
            Failure::Broken
        }
    })?;
    let status = answer.status().as_u16();
    let response_ns = answer.headers().get(standin::RESPONSE_HEADER);
    let response_ns = response_ns.and_then(|value| value.to_str().ok()?.parse().ok());
    let mut body = answer.into_body();
    // The body is read and discarded, so that the connection can be used again.
    while let Some(frame) = body.frame().await {
        frame.map_err(|_broken| Failure::Broken)?;
    }
    Ok((status, response_ns))
}

fn request(outgoing: &Outgoing, body: Padded) -> Result<http::Request<Padded>, http::Error> {
    let mut head = http::Request::builder()
        .method(outgoing.method)
        .uri(&outgoing.url)
        .header(http::header::USER_AGENT, context::USER_AGENT)
        .header(http::header::CONTENT_TYPE, crate::request::OCTETS)
        .header(HOP_COUNT_HEADER, outgoing.hops)
        .header(PLAN_HEADER, u16::from(standin::PLAN_VERSION));
    if let Some(context) = &outgoing.context {
        head = head.header("traceparent", context::traceparent(context));
        let state = context.trace_state().header();
        if !state.is_empty() {
            head = head.header("tracestate", state);
        }
    }
    if let Some(baggage) = outgoing.baggage.as_deref() {
        head = head.header("baggage", baggage);
    }
    head.body(body)
}
