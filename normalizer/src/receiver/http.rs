//! OTLP/HTTP: POST of protobuf or JSON to one path per signal.

use std::fmt::Display;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::Body;
use prost::Message as _;

use super::answer::{AnswerBody, ExportResponse};
use super::body::collect;
use super::compression::Compression;
use super::intake::{Intake, off_the_loop};
use super::json;
use super::refusal::{self, Refusal};
use super::status::Status;
use crate::journal::Signal;

/// Encoding of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// Reads a content-type header and ignores its parameters.
    pub(super) fn from_content_type(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim() {
            name if name.eq_ignore_ascii_case("application/x-protobuf") => Some(Self::Protobuf),
            name if name.eq_ignore_ascii_case("application/protobuf") => Some(Self::Protobuf),
            name if name.eq_ignore_ascii_case("application/json") => Some(Self::Json),
            _ => None,
        }
    }

    fn content_type(self) -> HeaderValue {
        match self {
            Self::Protobuf => HeaderValue::from_static("application/x-protobuf"),
            Self::Json => HeaderValue::from_static("application/json"),
        }
    }
}

pub(super) async fn take<B>(
    intake: &Intake,
    encoding: Option<Encoding>,
    request: Request<B>,
) -> Result<Response<AnswerBody>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let signal = signal_of(request.uri().path())?;
    if request.method() != Method::POST {
        return Err(Refusal::MethodNotAllowed);
    }
    let encoding =
        encoding.ok_or_else(|| Refusal::UnsupportedContentType(content_type(request.headers())))?;
    let compression = Compression::from_header(request.headers().get(CONTENT_ENCODING))?;
    let content_length = content_length(request.headers());
    let mut reservation = intake.reservation();
    let limit = intake.message_bytes_max;
    if request.headers().contains_key(EXPECT) && content_length.is_some_and(|len| len > limit) {
        // The client waits for permission to send the body. Reading the body would grant it.
        return Err(Refusal::TooLarge { limit });
    }
    let body = collect(request.into_body(), limit, |_| content_length, &mut reservation).await?;
    let message = off_the_loop(body.len(), || {
        let message = compression.decompress(body, limit, &mut reservation)?;
        match encoding {
            Encoding::Protobuf => Ok(message),
            Encoding::Json => json::to_protobuf(signal, &message, limit, &mut reservation),
        }
    })?;
    let response = ExportResponse::new(&intake.take(signal, message).await?);
    let body = match encoding {
        Encoding::Protobuf => response.encode_to_vec(),
        Encoding::Json => response.to_json(signal),
    };
    let mut response = Response::new(AnswerBody::from(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, encoding.content_type());
    Ok(response)
}

/// Whether this path accepts telemetry.
pub(super) fn is_served(path: &str) -> bool {
    signal_of(path).is_ok()
}

fn signal_of(path: &str) -> Result<Signal, Refusal> {
    match path {
        "/v1/traces" => Ok(Signal::Traces),
        "/v1/metrics" => Ok(Signal::Metrics),
        "/v1/logs" => Ok(Signal::Logs),
        other => Err(Refusal::UnknownPath(other.to_owned())),
    }
}

fn content_type(headers: &HeaderMap) -> String {
    let header = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    String::from_utf8_lossy(header).into_owned()
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The answer to a refused request, in the request's own encoding.
pub(super) fn refuse(encoding: Option<Encoding>, refusal: &Refusal) -> Response<AnswerBody> {
    let encoding = encoding.unwrap_or(Encoding::Json);
    let status = Status::from_refusal(refusal);
    let body = match encoding {
        Encoding::Protobuf => status.to_protobuf(),
        Encoding::Json => status.to_json(refusal),
    };
    let mut response = Response::new(AnswerBody::from(body));
    *response.status_mut() = refusal.http_status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, encoding.content_type());
    if let Some(delay) = refusal.retry_delay() {
        headers.insert(RETRY_AFTER, HeaderValue::from(delay.as_secs().max(1)));
    }
    match refusal {
        Refusal::MethodNotAllowed => {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
        Refusal::Unauthenticated => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Refusal::UnsupportedCompression(_) => {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(refusal::COMPRESSIONS));
        }
        _ => {}
    }
    response
}
