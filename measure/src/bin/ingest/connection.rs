//! A simple client: one HTTP/2 connection for OTLP/gRPC calls.

use std::net::SocketAddr;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::net::TcpStream;

const EXPORT_TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// gRPC's prefix of a message: one byte for compression, four for the length.
const PREFIX_LEN: usize = 5;
const OK: &str = "0";
const UNAVAILABLE: &str = "14";

/// A connection. All clones share it.
#[derive(Clone)]
pub struct Connection {
    sender: http2::SendRequest<Full<Bytes>>,
    uri: Uri,
}

/// Result of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// All spans were accepted.
    Taken,
    /// No span was accepted. The request has to be repeated.
    Refused,
}

impl Connection {
    /// Connects. Must be called in the runtime that will run the connection.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        // Calls on the connection report its errors.
        tokio::spawn(driver);
        let uri = format!("http://{address}{EXPORT_TRACES}").parse()?;
        Ok(Self { sender, uri })
    }

    /// Sends a request (with its gRPC prefix) and waits for the answer.
    pub async fn export(&mut self, frame: Bytes) -> anyhow::Result<Answer> {
        let request = Request::post(self.uri.clone())
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(frame))?;
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        let collected = body.collect().await?;
        let status = head
            .headers
            .get("grpc-status")
            .or_else(|| collected.trailers()?.get("grpc-status"))
            .map(|status| status.to_str().unwrap_or_default().to_owned());
        match status.as_deref() {
            Some(OK) => ensure_all_taken(&collected.to_bytes()).map(|()| Answer::Taken),
            Some(UNAVAILABLE) => Ok(Answer::Refused),
            other => bail!("answered with HTTP {} and gRPC status {other:?}", head.status),
        }
    }
}

fn ensure_all_taken(body: &Bytes) -> anyhow::Result<()> {
    let message = body.get(PREFIX_LEN..).context("an answer without a message")?;
    let response = ExportTraceServiceResponse::decode(message)?;
    let rejected = response
        .partial_success
        .map_or(0, |partial| partial.rejected_spans);
    ensure!(rejected == 0, "{rejected} spans were rejected");
    Ok(())
}
