//! [`Receiver`]: receives OTLP over gRPC and HTTP. It turns each request into a journal record, and answers it.
//!
//! ```text
//! body ─▶ compression ─▶ (json) ─▶ intake: check, admission, journal ─▶ answer
//!           grpc and http differ in framing and in the form of a refusal
//! ```
//! A message stays encoded as protobuf on the whole path; the receiver first converts JSON to protobuf. The gRPC port and the
//! HTTP port each accept both protocols.

mod answer;
mod body;
mod budget;
mod compression;
mod cors;
mod counters;
mod drivers;
mod grpc;
mod http;
mod intake;
mod json;
mod known_layouts;
mod refusal;
mod status;
mod tokens;

use std::convert::Infallible;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ::http::header::CONTENT_TYPE;
use ::http::{HeaderValue, Request, Response, Version};
use bytes::Bytes;
use http_body::Body;
use hyper::service::Service;

use crate::journal::Journal;
use answer::unless_it_panics;
use budget::Budget;
use http::Encoding;
use intake::Intake;

pub use answer::AnswerBody;
pub use cors::{Cors, parse_origin};
pub use counters::{Counters, SignalCounters};
pub use intake::{examine, readable};
pub use json::{message_of_json, protobuf_of_json};
pub use refusal::{GrpcCode, RETRY_DELAY, Refusal};
pub use tokens::{Tokens, TokensError};

/// Limits of the receiver.
#[derive(Debug, Clone, Copy)]
pub struct ReceiverLimits {
    /// Maximum size of a message before and after decompression, bytes. Senders drop messages that are refused as too large, so
    /// the default is higher than any Collector's own limit.
    pub message_bytes_max: usize,
    /// Maximum total size of all requests that are being received, bytes.
    pub in_flight_bytes_max: usize,
}

/// A service that answers OTLP requests. Clones share limits and counters.
#[derive(Clone)]
pub struct Receiver {
    intake: Intake,
    tokens: Option<Arc<Tokens>>,
    cors: Cors,
}

/// The protocol of a request and of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Grpc,
    Http(Option<Encoding>),
}

impl Receiver {
    pub fn new(journal: Journal, limits: ReceiverLimits) -> Self {
        let intake = Intake {
            journal,
            counters: Arc::default(),
            budget: Budget::new(limits.in_flight_bytes_max),
            message_bytes_max: limits.message_bytes_max,
            drivers: Arc::default(),
            layouts: Arc::default(),
        };
        Self {
            intake,
            tokens: None,
            cors: Cors::default(),
        }
    }

    /// Requires one of these tokens in every request. `None` requires no token.
    #[must_use]
    pub fn with_tokens(mut self, tokens: Option<Arc<Tokens>>) -> Self {
        self.tokens = tokens;
        self
    }

    /// Permits requests from browser pages of these origins.
    #[must_use]
    pub fn with_cors(mut self, cors: Cors) -> Self {
        self.cors = cors;
        self
    }

    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.intake.counters)
    }

    async fn answer<B>(&self, request: Request<B>) -> Response<AnswerBody>
    where
        B: Body<Data = Bytes>,
        B::Error: Display,
    {
        let protocol = Protocol::from_request(&request);
        let permission = self.cors.permission(&request);
        if let Some(response) = permission.preflight(&request)
            && http::is_served(request.uri().path())
        {
            return response;
        }
        let taken = match unless_it_panics(self.take(protocol, request)).await {
            Some(taken) => taken,
            None => Err(Refusal::Internal),
        };
        let mut response = taken.unwrap_or_else(|refusal| {
            self.intake.counters.count_refused(&refusal);
            protocol.refuse(&refusal)
        });
        if matches!(protocol, Protocol::Http(_)) {
            permission.add_headers(response.headers_mut());
        }
        response
    }

    async fn take<B>(&self, protocol: Protocol, request: Request<B>) -> Result<Response<AnswerBody>, Refusal>
    where
        B: Body<Data = Bytes>,
        B::Error: Display,
    {
        if self
            .tokens
            .as_ref()
            .is_some_and(|tokens| !tokens.admit(request.headers()))
        {
            body::discard_small(request.into_body()).await;
            return Err(Refusal::Unauthenticated);
        }
        match protocol {
            Protocol::Grpc if request.version() < Version::HTTP_2 => Err(Refusal::NeedsHttp2),
            Protocol::Grpc => grpc::take(&self.intake, request).await,
            Protocol::Http(encoding) => http::take(&self.intake, encoding, request).await,
        }
    }
}

impl Protocol {
    fn from_request<B>(request: &Request<B>) -> Self {
        let content_type = request
            .headers()
            .get(CONTENT_TYPE)
            .map_or(&b""[..], HeaderValue::as_bytes);
        match std::str::from_utf8(content_type) {
            Ok("application/grpc" | "application/grpc+proto") => Self::Grpc,
            Ok(content_type) => Self::Http(Encoding::from_content_type(content_type)),
            Err(_) => Self::Http(None),
        }
    }

    fn refuse(self, refusal: &Refusal) -> Response<AnswerBody> {
        match self {
            // An HTTP/1 client cannot read a gRPC status.
            Self::Grpc if *refusal == Refusal::NeedsHttp2 => http::refuse(None, refusal),
            Self::Grpc => grpc::refuse(refusal),
            Self::Http(encoding) => http::refuse(encoding, refusal),
        }
    }
}

impl<B> Service<Request<B>> for Receiver
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Display + Send,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<B>) -> Self::Future {
        let receiver = self.clone();
        Box::pin(async move { Ok(receiver.answer(request).await) })
    }
}
