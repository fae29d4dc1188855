//! A stand-in for the Collector (`cctf run --collector`). It shifts the timestamps of one node, as if the node's clock were
//! wrong. It also writes the original requests to the file in SKEW_KEEP.

use std::convert::Infallible;
use std::fs::File;
use std::future::Future;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use anyhow::Context as _;
use cctf_proto::keys;
use e2e::otlp::AnyBytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tonic::body::Body;
use tonic::client::Grpc as Client;
use tonic::codegen::Service;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::server::{Grpc, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

const NANOS_A_MS: i64 = 1_000_000;

/// The relay: the shifted node, the shift, and the next receiver.
struct Relay {
    node: String,
    shift_ns: i64,
    kept: Mutex<Option<File>>,
    onward: Channel,
}

fn main() -> anyhow::Result<()> {
    // SAFETY: the handler makes one system call. Nothing is lost, because answered requests are already forwarded.
    unsafe { libc::signal(libc::SIGTERM, end as *const () as libc::sighandler_t) };
    let variable = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
    let metrics = format!(
        "{}:{}",
        variable("OTELCOL_METRICS_HOST")?,
        variable("OTELCOL_METRICS_PORT")?
    );
    for address in [variable("OTELCOL_HEALTH_LISTEN")?, metrics] {
        let listener = TcpListener::bind(&address).with_context(|| format!("cannot listen on {address}"))?;
        std::thread::spawn(move || say_yes(&listener));
    }
    let kept = std::env::var_os("SKEW_KEEP").map(File::create).transpose()?;
    let listen: SocketAddr = variable("OTELCOL_GRPC_LISTEN")?.parse()?;
    let onward = format!("http://{}", variable("NORMALIZER_ENDPOINT")?);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let relay = Relay {
                node: variable("SKEW_NODE")?,
                shift_ns: variable("SKEW_MS")?.parse::<i64>()? * NANOS_A_MS,
                kept: Mutex::new(kept),
                onward: Endpoint::new(onward)?.connect_lazy(),
            };
            let incoming = TcpIncoming::bind(listen)
                .map_err(|error| anyhow::anyhow!("cannot listen on {listen}: {error}"))?
                .with_nodelay(Some(true));
            Ok(Server::builder()
                .serve_with_incoming(Door(Arc::new(relay)), incoming)
                .await?)
        })
}

extern "C" fn end(_signal: libc::c_int) {
    // SAFETY: async-signal-safe.
    unsafe { libc::_exit(0) }
}

/// Answers requests for health and metrics. An empty answer means ready, with an empty queue.
fn say_yes(listener: &TcpListener) {
    for mut stream in listener.incoming().flatten() {
        let _ = stream.read(&mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
}

impl Relay {
    async fn pass_on(&self, path: PathAndQuery, given: Vec<u8>) -> Result<Vec<u8>, Status> {
        let bad = |error: prost::DecodeError| Status::invalid_argument(error.to_string());
        let shifted = if path.path().ends_with("TraceService/Export") {
            let mut request = ExportTraceServiceRequest::decode(&*given).map_err(bad)?;
            self.shift_spans(&mut request);
            self.keep(&given)?;
            request.encode_to_vec()
        } else if path.path().ends_with("MetricsService/Export") {
            let mut request = ExportMetricsServiceRequest::decode(&*given).map_err(bad)?;
            self.shift_points(&mut request);
            request.encode_to_vec()
        } else {
            given
        };
        let mut client = Client::new(self.onward.clone());
        let unavailable = |error: tonic::transport::Error| Status::unavailable(error.to_string());
        client.ready().await.map_err(unavailable)?;
        Ok(client
            .unary(Request::new(shifted), path, AnyBytes)
            .await?
            .into_inner())
    }

    /// Appends a request to the file, after its length.
    fn keep(&self, given: &[u8]) -> Result<(), Status> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = kept.as_mut() else { return Ok(()) };
        file.write_all(&[&(given.len() as u64).to_le_bytes(), given].concat())
            .map_err(|error| Status::unavailable(error.to_string()))
    }

    fn is_meant(&self, resource: Option<&Resource>) -> bool {
        resource
            .into_iter()
            .flat_map(|resource| &resource.attributes)
            .any(|attribute| {
                let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
                attribute.key == keys::NODE_ID
                    && matches!(value, Some(Value::StringValue(node)) if *node == self.node)
            })
    }

    /// Shifts a timestamp. Zero means that there is none.
    fn shift(&self, stamp: &mut u64) {
        if *stamp != 0 {
            *stamp = stamp.saturating_add_signed(self.shift_ns);
        }
    }

    fn shift_spans(&self, request: &mut ExportTraceServiceRequest) {
        let meant = request
            .resource_spans
            .iter_mut()
            .filter(|spans| self.is_meant(spans.resource.as_ref()));
        for span in meant
            .flat_map(|spans| &mut spans.scope_spans)
            .flat_map(|scope| &mut scope.spans)
        {
            self.shift_span(span);
        }
    }

    fn shift_span(&self, span: &mut Span) {
        self.shift(&mut span.start_time_unix_nano);
        self.shift(&mut span.end_time_unix_nano);
        for event in &mut span.events {
            self.shift(&mut event.time_unix_nano);
        }
        for attribute in &mut span.attributes {
            let value = attribute.value.as_mut().and_then(|value| value.value.as_mut());
            if let (keys::START_TIME_UNIX_NANO, Some(Value::IntValue(stamp))) =
                (attribute.key.as_str(), value)
            {
                *stamp = stamp.saturating_add(self.shift_ns);
            }
        }
    }

    fn shift_points(&self, request: &mut ExportMetricsServiceRequest) {
        let meant = request
            .resource_metrics
            .iter_mut()
            .filter(|metrics| self.is_meant(metrics.resource.as_ref()));
        for metric in meant
            .flat_map(|metrics| &mut metrics.scope_metrics)
            .flat_map(|scope| &mut scope.metrics)
        {
            macro_rules! shift {
                ($points:expr) => {
                    for point in $points {
                        self.shift(&mut point.start_time_unix_nano);
                        self.shift(&mut point.time_unix_nano);
                    }
                };
            }
            match metric.data.as_mut() {
                Some(Data::Gauge(gauge)) => shift!(&mut gauge.data_points),
                Some(Data::Sum(sum)) => shift!(&mut sum.data_points),
                Some(Data::Histogram(histogram)) => shift!(&mut histogram.data_points),
                Some(Data::ExponentialHistogram(histogram)) => shift!(&mut histogram.data_points),
                Some(Data::Summary(summary)) => shift!(&mut summary.data_points),
                None => {}
            }
        }
    }
}

/// Accepts any call. Message and answer stay encoded.
#[derive(Clone)]
struct Door(Arc<Relay>);

/// One call.
struct Call(Arc<Relay>, PathAndQuery);

type Answered<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl Service<http::Request<Body>> for Door {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answered<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let relay = Arc::clone(&self.0);
        Box::pin(async move {
            let path = request.uri().path_and_query().cloned();
            let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
            let mut grpc = Grpc::new(AnyBytes).max_decoding_message_size(usize::MAX);
            Ok(grpc.unary(Call(relay, path), request).await)
        })
    }
}

impl UnaryService<Vec<u8>> for Call {
    type Response = Vec<u8>;
    type Future = Answered<Response<Vec<u8>>, Status>;

    fn call(&mut self, request: Request<Vec<u8>>) -> Self::Future {
        let (relay, path) = (Arc::clone(&self.0), self.1.clone());
        Box::pin(async move { Ok(Response::new(relay.pass_on(path, request.into_inner()).await?)) })
    }
}
