//! An OTLP/gRPC receiver in the test's process. It stores everything that it receives.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

const WAIT_MAX: Duration = Duration::from_secs(180);

/// A span with its scope and resource.
#[derive(Debug, Clone)]
pub struct Received {
    pub scope: String,
    pub resource: Arc<Vec<KeyValue>>,
    pub span: Span,
}

#[derive(Default)]
struct Kept {
    spans: Vec<Received>,
    metrics: Vec<ExportMetricsServiceRequest>,
    refusals: u32,
    /// Whether exports of metrics are refused.
    refuses_metrics: bool,
    /// Number of refused exports of metrics.
    refused_metrics: u32,
}

#[derive(Clone, Default)]
struct Shared(Arc<(Mutex<Kept>, Condvar)>);

/// A running receiver.
pub struct Receiver {
    pub endpoint: String,
    shared: Shared,
    _runtime: tokio::runtime::Runtime,
}

/// Starts a receiver on a free port that answers the first `refusals` exports of spans with UNAVAILABLE.
pub fn start_refusing(refusals: u32) -> Receiver {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let shared = Shared::default();
    shared.0.0.lock().unwrap().refusals = refusals;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let incoming = {
        let _inside = runtime.enter();
        TcpIncoming::from(tokio::net::TcpListener::from_std(listener).unwrap())
    };
    let server = tonic::transport::Server::builder()
        .add_service(TraceServiceServer::new(shared.clone()))
        .add_service(MetricsServiceServer::new(shared.clone()));
    runtime.spawn(server.serve_with_incoming(incoming));
    Receiver {
        endpoint: format!("http://{address}"),
        shared,
        _runtime: runtime,
    }
}

/// Starts a receiver that accepts everything.
pub fn start() -> Receiver {
    start_refusing(0)
}

impl Receiver {
    /// All spans that were received so far.
    pub fn spans(&self) -> Vec<Received> {
        self.shared.0.0.lock().unwrap().spans.clone()
    }

    /// The only span with this name.
    pub fn span(&self, name: &str) -> Received {
        let spans = self.spans();
        let named: Vec<_> = spans
            .iter()
            .filter(|received| received.span.name == name)
            .collect();
        assert_eq!(named.len(), 1, "spans named {name} among {:?}", names(&spans));
        named[0].clone()
    }

    /// Waits until `holds` returns true for the received data.
    pub fn wait_until(&self, what: &str, holds: impl Fn(&[Received], &BTreeSet<String>) -> bool) {
        let (kept, changed) = &*self.shared.0;
        let deadline = Instant::now() + WAIT_MAX;
        let mut kept = kept.lock().unwrap();
        while !holds(&kept.spans, &metric_names(&kept.metrics)) {
            let rest = deadline.saturating_duration_since(Instant::now());
            assert!(
                !rest.is_zero(),
                "never received {what}; spans {:?}",
                names(&kept.spans)
            );
            kept = changed.wait_timeout(kept, rest).unwrap().0;
        }
    }

    /// Sets whether exports of metrics are answered with UNAVAILABLE.
    pub fn refuse_metrics(&self, refuses: bool) {
        self.shared.0.0.lock().unwrap().refuses_metrics = refuses;
    }

    /// Waits until this many further exports of metrics were refused.
    pub fn wait_for_refused_metrics(&self, count: u32) {
        let (kept, changed) = &*self.shared.0;
        let kept = kept.lock().unwrap();
        let wanted = kept.refused_metrics + count;
        let waited = changed.wait_timeout_while(kept, WAIT_MAX, |kept| kept.refused_metrics < wanted);
        assert!(
            !waited.unwrap().1.timed_out(),
            "{count} exports were never refused"
        );
    }

    /// All exports of metrics.
    pub fn metrics(&self) -> Vec<ExportMetricsServiceRequest> {
        self.shared.0.0.lock().unwrap().metrics.clone()
    }

    /// The last export of metrics.
    pub fn last_metrics(&self) -> ExportMetricsServiceRequest {
        self.shared
            .0
            .0
            .lock()
            .unwrap()
            .metrics
            .last()
            .cloned()
            .expect("an export of metrics")
    }
}

fn names(spans: &[Received]) -> Vec<&str> {
    spans.iter().map(|received| received.span.name.as_str()).collect()
}

fn metric_names(requests: &[ExportMetricsServiceRequest]) -> BTreeSet<String> {
    let scopes = requests
        .iter()
        .flat_map(|request| &request.resource_metrics)
        .flat_map(|of| &of.scope_metrics);
    scopes
        .flat_map(|scope| &scope.metrics)
        .map(|metric| metric.name.clone())
        .collect()
}

impl Received {
    /// A text attribute of the span.
    pub fn text(&self, key: &str) -> Option<&str> {
        text(&self.span.attributes, key)
    }

    /// An integer attribute of the span.
    pub fn integer(&self, key: &str) -> Option<i64> {
        integer(&self.span.attributes, key)
    }
}

/// A text attribute.
pub fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match attributes
        .iter()
        .find(|pair| pair.key == key)?
        .value
        .as_ref()?
        .value
        .as_ref()?
    {
        any_value::Value::StringValue(text) => Some(text),
        other => panic!("{key} is {other:?}"),
    }
}

/// An integer attribute.
pub fn integer(attributes: &[KeyValue], key: &str) -> Option<i64> {
    match attributes
        .iter()
        .find(|pair| pair.key == key)?
        .value
        .as_ref()?
        .value
        .as_ref()?
    {
        any_value::Value::IntValue(integer) => Some(*integer),
        other => panic!("{key} is {other:?}"),
    }
}

#[tonic::async_trait]
impl TraceService for Shared {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (kept, changed) = &*self.0;
        let mut kept = kept.lock().unwrap();
        if kept.refusals > 0 {
            kept.refusals -= 1;
            return Err(Status::unavailable("not yet"));
        }
        for of_resource in request.into_inner().resource_spans {
            let resource = Arc::new(of_resource.resource.unwrap_or_default().attributes);
            for of_scope in of_resource.scope_spans {
                let scope = of_scope.scope.unwrap_or_default().name;
                let spans = of_scope.spans.into_iter();
                kept.spans.extend(spans.map(|span| Received {
                    scope: scope.clone(),
                    resource: resource.clone(),
                    span,
                }));
            }
        }
        changed.notify_all();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Shared {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let (kept, changed) = &*self.0;
        let mut kept = kept.lock().unwrap();
        if kept.refuses_metrics {
            kept.refused_metrics += 1;
            changed.notify_all();
            return Err(Status::unavailable("not yet"));
        }
        kept.metrics.push(request.into_inner());
        changed.notify_all();
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}
