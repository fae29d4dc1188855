//! A server that does no work, for measurements of the driver: `sink HTTP_ADDRESS GRPC_ADDRESS`.
//!
//! Over HTTP it reads each body and answers 200. Over gRPC it accepts all spans.

use std::convert::Infallible;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request
        .into_body()
        .collect()
        .await
        .map(|body| body.to_bytes().len())
        .unwrap_or(0);
    Ok(Response::new(Full::new(Bytes::from(format!("{body}\n")))))
}

struct Accept;

#[tonic::async_trait]
impl TraceService for Accept {
    async fn export(
        &self,
        _: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut addresses = std::env::args().skip(1);
    let mut next = |default: &str| {
        addresses
            .next()
            .unwrap_or_else(|| default.to_owned())
            .parse::<SocketAddr>()
    };
    let listener = TcpListener::bind(next("127.0.0.1:8099")?).await?;
    let grpc = next("127.0.0.1:4399")?;
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(Accept))
            .serve(grpc),
    );
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new();
            connection
                .serve_connection(TokioIo::new(stream), service_fn(answer))
                .await
        });
    }
}
