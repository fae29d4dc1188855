//! Servers for `cctf load`: an HTTP service that stores the requests that it received, and a collector that stores spans.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// A port below 1024 without a listener. Another test could get a port that is free now.
pub const NOBODY: &str = "http://127.0.0.1:9";

/// A request that the service has received.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub traceparent: String,
    pub baggage: String,
    pub host: String,
    pub content_type: String,
    pub body: Bytes,
}

/// The answers of the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// Accepts everything.
    Accept,
    /// Answers UNAVAILABLE this many times, then accepts.
    UnavailableFirst(u32),
    /// Accepts control spans (which mark a run's start and end) and refuses all others permanently.
    RefuseSpans,
    /// Accepts control spans, and rejects one span of every other request.
    RejectOne,
    /// Rejects control spans by partial success.
    RejectControl,
    /// Rejects the start of a run, like a normalizer if another driver has started the run.
    RunHasDriver,
}

/// Both servers, on free ports. They stop when this is dropped.
pub struct Servers {
    runtime: Option<Runtime>,
    pub service: SocketAddr,
    pub collector: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    spans: Arc<Mutex<Vec<(String, Span)>>>,
    alive: Arc<AtomicU64>,
    rejected: Arc<AtomicU64>,
}

impl Servers {
    pub fn start(answers: Answers, closes_after: Option<u64>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (seen, spans) = (Arc::default(), Arc::default());
        let [alive, rejected] = [(); 2].map(|()| Arc::<AtomicU64>::default());
        let (service, collector) = runtime.block_on(async {
            let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let service_at = service.local_addr().unwrap();
            tokio::spawn(serve(service, Arc::clone(&seen), closes_after));
            let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let collector_at = collector.local_addr().unwrap();
            let keep = Collector {
                spans: Arc::clone(&spans),
                alive: Arc::clone(&alive),
                rejected: Arc::clone(&rejected),
                answers: Mutex::new(answers),
            };
            let incoming = tonic::transport::server::TcpIncoming::from(collector);
            let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(keep));
            tokio::spawn(server.serve_with_incoming(incoming));
            (service_at, collector_at)
        });
        Self {
            runtime: Some(runtime),
            service,
            collector,
            seen,
            spans,
            alive,
            rejected,
        }
    }

    /// The requests so far, in order of arrival.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Number of reports so far that the driver is alive.
    pub fn alive(&self) -> u64 {
        self.alive.load(Ordering::Relaxed)
    }

    /// Number of rejected spans so far.
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    /// The spans so far, with the names of their scopes.
    pub fn spans(&self) -> Vec<(String, Span)> {
        self.spans.lock().unwrap().clone()
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: TcpListener, seen: Arc<Mutex<Vec<Seen>>>, closes_after: Option<u64>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            return;
        };
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            let served = Arc::new(Mutex::new(0));
            let service = service_fn(move |request| {
                answer(request, Arc::clone(&seen), Arc::clone(&served), closes_after)
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<Seen>>>,
    served: Arc<Mutex<u64>>,
    closes_after: Option<u64>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
            .to_owned()
    };
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let (traceparent, baggage) = (header("traceparent"), header("baggage"));
    let (host, content_type) = (header("host"), header("content-type"));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let status = if path == "/busy" { 503 } else { 200 };
    seen.lock().unwrap().push(Seen {
        method,
        path,
        traceparent,
        baggage,
        host,
        content_type,
        body,
    });
    let count = {
        let mut served = served.lock().unwrap();
        *served += 1;
        *served
    };
    let mut response = Response::builder().status(status);
    if closes_after.is_some_and(|limit| count >= limit) {
        response = response.header("connection", "close");
    }
    Ok(response.body(Full::new(Bytes::from_static(b"ok"))).unwrap())
}

struct Collector {
    spans: Arc<Mutex<Vec<(String, Span)>>>,
    alive: Arc<AtomicU64>,
    rejected: Arc<AtomicU64>,
    answers: Mutex<Answers>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let spans: Vec<(String, Span)> = (request.into_inner().resource_spans.into_iter())
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| {
                let name = scope.scope.unwrap_or_default().name;
                scope.spans.into_iter().map(move |span| (name.clone(), span))
            })
            .collect();
        if spans.is_empty() {
            // The driver reports that it is alive.
            self.alive.fetch_add(1, Ordering::Relaxed);
            return Ok(tonic::Response::new(ExportTraceServiceResponse::default()));
        }
        let is_control = spans
            .iter()
            .all(|(scope, _)| scope == cctf_proto::keys::CONTROL_SCOPE);
        let mut rejected = 0_i64;
        let mut answers = self.answers.lock().unwrap();
        match *answers {
            Answers::UnavailableFirst(left) if left > 0 => {
                *answers = Answers::UnavailableFirst(left - 1);
                return Err(tonic::Status::unavailable("not yet"));
            }
            Answers::RefuseSpans if !is_control => return Err(tonic::Status::invalid_argument("no")),
            Answers::RejectOne if !is_control => rejected = 1,
            Answers::RejectControl | Answers::RunHasDriver if is_control => rejected = 1,
            _ => {}
        }
        self.spans.lock().unwrap().extend(spans);
        self.rejected
            .fetch_add(rejected.unsigned_abs(), Ordering::Relaxed);
        let partial_success = (rejected > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: rejected,
            error_message: match *answers {
                Answers::RunHasDriver => format!(
                    "1 of 1 rows cannot be used: {} 1",
                    cctf_proto::keys::RUN_HAS_DRIVER
                ),
                _ => "one too many".into(),
            },
        });
        Ok(tonic::Response::new(ExportTraceServiceResponse {
            partial_success,
        }))
    }
}
