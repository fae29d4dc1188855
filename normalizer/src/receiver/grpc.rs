//! OTLP/gRPC: unary calls. The framing is implemented here, so that messages stay bytes, and the receiver chooses every status
//! code.

use std::fmt::Display;

use bytes::{BufMut, Bytes, BytesMut};
use cctf_proto::otlp::admission::Admission;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body::Body;
use prost::Message as _;

use super::answer::{AnswerBody, ExportResponse};
use super::body::collect;
use super::compression::Compression;
use super::intake::{Intake, off_the_loop};
use super::refusal::{self, Refusal};
use super::status::Status;
use crate::journal::Signal;

/// Length of the prefix: one byte for the compression flag, and four bytes for the length of the message.
const PREFIX_LEN: usize = 5;

const CONTENT_TYPE_GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

pub(super) async fn take<B>(intake: &Intake, request: Request<B>) -> Result<Response<AnswerBody>, Refusal>
where
    B: Body<Data = Bytes>,
    B::Error: Display,
{
    let signal = signal_of(request.uri().path())?;
    if request.method() != Method::POST {
        return Err(Refusal::MethodNotAllowed);
    }
    let compression = Compression::from_header(request.headers().get(GRPC_ENCODING))?;
    let mut reservation = intake.reservation();
    let limit = intake.message_bytes_max;
    let framed = collect(
        request.into_body(),
        limit + PREFIX_LEN,
        framed_len,
        &mut reservation,
    )
    .await
    .map_err(|refusal| without_prefix(refusal, limit))?;
    let message = match unframe(framed)? {
        Framed::Plain(message) => message,
        Framed::Compressed(_) if compression == Compression::Identity => {
            return Err(malformed("a compressed message without grpc-encoding"));
        }
        Framed::Compressed(message) => off_the_loop(message.len(), || {
            compression.decompress(message, limit, &mut reservation)
        })?,
    };
    let admission = intake.take(signal, message).await?;
    Ok(success(&admission))
}

fn signal_of(path: &str) -> Result<Signal, Refusal> {
    match path {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Ok(Signal::Traces),
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Ok(Signal::Metrics),
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Ok(Signal::Logs),
        other => Err(Refusal::UnknownPath(other.to_owned())),
    }
}

enum Framed {
    Plain(Bytes),
    Compressed(Bytes),
}

fn unframe(framed: Bytes) -> Result<Framed, Refusal> {
    let Some(len) = framed_len(&framed) else {
        return Err(malformed("no message, or one with an incomplete prefix"));
    };
    if framed.len() < len {
        return Err(malformed("a message shorter than the length in its prefix"));
    }
    if framed.len() > len {
        return Err(malformed("more than one message in a unary call"));
    }
    let message = framed.slice(PREFIX_LEN..);
    match framed[0] {
        0 => Ok(Framed::Plain(message)),
        1 => Ok(Framed::Compressed(message)),
        _ => Err(malformed("a message with a compression flag other than 0 or 1")),
    }
}

/// Length of the first message, including its prefix.
fn framed_len(bytes: &[u8]) -> Option<usize> {
    let (_, after_flag) = bytes.split_first()?;
    let len = after_flag.first_chunk::<4>()?;
    usize::try_from(u32::from_be_bytes(*len))
        .ok()?
        .checked_add(PREFIX_LEN)
}

fn without_prefix(refusal: Refusal, limit: usize) -> Refusal {
    match refusal {
        Refusal::TooLarge { .. } => Refusal::TooLarge { limit },
        other => other,
    }
}

fn malformed(what: &str) -> Refusal {
    Refusal::Malformed(what.to_owned())
}

fn success(admission: &Admission) -> Response<AnswerBody> {
    let response = ExportResponse::new(admission);
    let len = response.encoded_len();
    let mut data = BytesMut::with_capacity(PREFIX_LEN + len);
    data.put_u8(0);
    data.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
    data.extend_from_slice(&response.encode_to_vec());
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    respond(AnswerBody {
        data: Some(data.freeze()),
        trailers: Some(trailers),
    })
}

/// The answer to a refused call. It has no body, and its headers serve as trailers.
pub(super) fn refuse(refusal: &Refusal) -> Response<AnswerBody> {
    let status = Status::from_refusal(refusal);
    let mut response = respond(AnswerBody::default());
    let headers = response.headers_mut();
    headers.insert(GRPC_STATUS, HeaderValue::from(refusal.grpc_code() as u16));
    if let Ok(message) = HeaderValue::try_from(status.to_message_header()) {
        headers.insert(GRPC_MESSAGE, message);
    }
    if let Some(Ok(details)) = status.to_details_header(refusal).map(HeaderValue::try_from) {
        headers.insert(GRPC_STATUS_DETAILS, details);
    }
    if matches!(refusal, Refusal::UnsupportedCompression(_)) {
        headers.insert(
            GRPC_ACCEPT_ENCODING,
            HeaderValue::from_static(refusal::COMPRESSIONS),
        );
    }
    response
}

fn respond(body: AnswerBody) -> Response<AnswerBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, CONTENT_TYPE_GRPC);
    response
}
