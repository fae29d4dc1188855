//! The baseline for comparisons: a tonic server that reads the bytes of each request and drops them.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use anyhow::anyhow;
use prost::bytes::Buf;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::Service;
use tonic::server::{Grpc, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// Maximum size of a message. All requests of the benchmark are smaller.
const MESSAGE_LEN_MAX: usize = 64 << 20;

/// The name of the subcommand that runs this server.
pub const COMMAND: &str = "discard";

/// Serves until the process is killed.
pub fn serve() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let incoming = TcpIncoming::bind(anywhere).map_err(|error| anyhow!("cannot listen: {error}"))?;
        println!(r#"{{"grpc":"http://{}"}}"#, incoming.local_addr()?);
        let incoming = incoming.with_nodelay(Some(true));
        Ok(Server::builder().serve_with_incoming(Discard, incoming).await?)
    })
}

/// Accepts any call. The message stays encoded.
#[derive(Clone, Copy)]
struct Discard;

type Answered<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl Service<http::Request<Body>> for Discard {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answered<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(Discard).max_decoding_message_size(MESSAGE_LEN_MAX);
            Ok(grpc.unary(Discard, request).await)
        })
    }
}

impl UnaryService<usize> for Discard {
    type Response = ();
    type Future = Answered<Response<()>, Status>;

    fn call(&mut self, _: Request<usize>) -> Self::Future {
        Box::pin(async { Ok(Response::new(())) })
    }
}

impl Codec for Discard {
    type Encode = ();
    type Decode = usize;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Discard {
    type Item = ();
    type Error = Status;

    /// An answer without fields means success for all spans.
    fn encode(&mut self, (): (), _: &mut EncodeBuf<'_>) -> Result<(), Status> {
        Ok(())
    }
}

impl Decoder for Discard {
    type Item = usize;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<usize>, Status> {
        let len = from.remaining();
        from.advance(len);
        Ok(Some(len))
    }
}
