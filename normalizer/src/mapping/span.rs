//! [`map_span`]: computes the fields of an invocation or a call from a span's attributes.

use std::borrow::Cow;

use cctf_proto::otlp::trace::{Span, SpanKind, StatusCode};

use super::conventions::Slot;
use super::slots::AttributeSlots;
use super::{sampling, status, url};

/// The fields that are computed from a span's attributes. `bytes_in` and `bytes_out` are seen from the server for SERVER and
/// CONSUMER spans, and from the client for all others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MappedSpan<'a> {
    pub method: Option<&'a str>,
    pub path: Option<Cow<'a, str>>,
    pub name: Option<&'a str>,
    pub route: Option<&'a str>,
    pub bytes_in: Option<u64>,
    pub bytes_out: Option<u64>,
    pub status: Option<i64>,
    pub status_text: Option<&'a str>,
    pub protocol: Option<&'static str>,
    pub error_type: Option<&'a str>,
    pub session_id: Option<&'a str>,
    pub cold_start: Option<bool>,
    pub resend_count: Option<u64>,
    pub sample_weight: Option<f64>,
    /// Whether the span is neither work nor a call, such as a CONSUMER that acknowledges messages, or a CLIENT that looks up a
    /// name.
    pub is_aside: bool,
    /// Whether the span is a CONSUMER with the operation `receive`. It either polls for messages, or handles one.
    pub is_receiving: bool,
}

/// Name of the CLIENT spans of Node's instrumentation for `dns`. A lookup is part of the operation that needs the address.
const NAME_LOOKUP: &str = "dns.lookup";
/// Names of the INTERNAL spans of Node's instrumentation for `net`. If a connection is opened outside of a request, its span
/// has no parent. It must not count as a batch job.
const CONNECTS: [&str; 3] = ["tcp.connect", "tls.connect", "ipc.connect"];

/// Name of the CONSUMER spans that Python's instrumentation for `confluent_kafka` creates for each poll. They have no attributes, and
/// the messages are handled in their child spans.
const BARE_POLL: &str = "recv";

/// Computes the fields of `span`, whose attributes are in `slots`.
pub fn map_span<'a>(span: &Span<'a>, slots: &AttributeSlots<'a>) -> MappedSpan<'a> {
    let mut mapped = MappedSpan {
        error_type: slots.text(Slot::ErrorType),
        session_id: slots.text(Slot::SessionId),
        resend_count: slots.unsigned(Slot::ResendCount),
        sample_weight: sampling::weight(span.trace_state),
        ..MappedSpan::default()
    };
    if slots.has(Slot::ColdStart) {
        mapped.cold_start = as_bool(slots);
    }
    let is_http = slots.has(Slot::HttpMethod) || slots.has(Slot::HttpStatus) || slots.has(Slot::HttpRoute);
    // A request that a server answers over HTTP is an HTTP request, even if its span has attributes of a broker or a database.
    let is_http_served = is_http && span.kind == SpanKind::Server;
    // A call over HTTP by an RPC system, broker or database client has the more specific protocol.
    if is_rpc(slots) {
        rpc(&mut mapped, slots);
    } else if !is_http_served && (slots.has(Slot::MessagingSystem) || slots.has(Slot::MessagingDestination)) {
        messaging(&mut mapped, slots);
    } else if !is_http_served && slots.has(Slot::DbSystem) {
        mapped.protocol = Some("db");
        mapped.method = slots
            .text(Slot::DbOperation)
            .or_else(|| slots.text(Slot::DbStatement).and_then(operation_of));
        mapped.path = slots.text(Slot::DbTarget).map(Cow::Borrowed);
    } else if is_http {
        http(&mut mapped, slots);
    } else if [Slot::FaasTrigger, Slot::FaasName, Slot::FaasInvocation]
        .into_iter()
        .any(|slot| slots.has(slot))
    {
        mapped.protocol = Some("faas");
        mapped.method = slots.text(Slot::FaasTrigger);
        mapped.path = slots.text(Slot::FaasName).map(Cow::Borrowed);
    } else if span.kind == SpanKind::Client {
        mapped.is_aside = span.name == NAME_LOOKUP;
    } else if span.kind == SpanKind::Internal {
        mapped.is_aside = is_connect(span.name);
    }
    if span.kind == SpanKind::Consumer {
        consume(&mut mapped, span.name, slots);
    }
    if mapped.status.is_none() && mapped.status_text.is_none() {
        status_of_http(&mut mapped, span, slots);
    }
    (mapped.bytes_in, mapped.bytes_out) = body_sizes(span.kind, slots);
    mapped.name = name_of(span, &mapped).map(|name| slots.bounded(name));
    mapped
}

/// Whether an INTERNAL span with this name opens a connection.
pub fn is_connect(name: &str) -> bool {
    CONNECTS.contains(&name)
}

/// The span's name, unless method and path already contain it.
fn name_of<'a>(span: &Span<'a>, mapped: &MappedSpan<'a>) -> Option<&'a str> {
    if mapped.method.is_some() && mapped.path.is_some() {
        return None;
    }
    let (first, rest) = span.name.split_once(' ').unwrap_or((span.name, ""));
    let said = [mapped.method, mapped.path.as_deref(), mapped.route];
    let is_said = |part: &str| part.is_empty() || said.contains(&Some(part));
    let is_all_said = is_said(span.name) || (is_said(first) && is_said(rest));
    (!is_all_said).then_some(span.name)
}

fn as_bool(slots: &AttributeSlots<'_>) -> Option<bool> {
    match slots.get(Slot::ColdStart)? {
        cctf_proto::otlp::common::AnyValue::Bool(cold) => Some(cold),
        _ => None,
    }
}

fn http<'a>(mapped: &mut MappedSpan<'a>, slots: &AttributeSlots<'a>) {
    mapped.protocol = Some("http");
    mapped.method = slots.text(Slot::HttpMethod);
    mapped.route = slots.text(Slot::HttpRoute);
    mapped.path = http_path(slots).map(Cow::Borrowed);
}

/// The path of a request over HTTP.
pub fn http_path<'a>(slots: &AttributeSlots<'a>) -> Option<&'a str> {
    slots
        .text(Slot::UrlPath)
        .or_else(|| slots.text(Slot::HttpTarget).map(url::path_of_target))
        .or_else(|| slots.text(Slot::UrlFull).and_then(url::path))
}

/// Sets the HTTP status of a call whose protocol reports no status. If that protocol has a status, success over HTTP does not
/// mean that the call succeeded. For example, gRPC always answers 200, and a span with an error has not succeeded.
fn status_of_http<'a>(mapped: &mut MappedSpan<'a>, span: &Span<'a>, slots: &AttributeSlots<'a>) {
    set_status(mapped, slots, Slot::HttpStatus, |_| None);
    let is_inner_protocol = mapped.protocol.is_some_and(|protocol| protocol != "http");
    let says_nothing = is_inner_protocol && (span.status.code == StatusCode::Error || is_grpc(slots));
    mapped.status = mapped
        .status
        .filter(|&status| status::is_http_status(status) && !(says_nothing && status < 400));
}

/// The status of a call over HTTP whose protocol is HTTP itself, if it is a number.
pub fn http_status(slots: &AttributeSlots<'_>) -> Option<i64> {
    slots
        .integer(Slot::HttpStatus)
        .filter(|&status| status::is_http_status(status))
}

fn is_rpc(slots: &AttributeSlots<'_>) -> bool {
    slots.has(Slot::RpcSystem) || slots.has(Slot::RpcMethod) || has_grpc(slots)
}

/// Whether the span has gRPC attributes. An HTTP proxy can report them, too.
fn has_grpc(slots: &AttributeSlots<'_>) -> bool {
    slots.has(Slot::GrpcStatus)
        || slots
            .text(Slot::GrpcContentType)
            .is_some_and(|of_body| of_body.starts_with("application/grpc"))
}

fn is_grpc(slots: &AttributeSlots<'_>) -> bool {
    has_grpc(slots) || slots.text(Slot::RpcSystem) == Some("grpc")
}

fn rpc<'a>(mapped: &mut MappedSpan<'a>, slots: &AttributeSlots<'a>) {
    mapped.protocol = Some("rpc");
    let service = slots.text(Slot::RpcService);
    let path = || http_path(slots).filter(|_| is_grpc(slots));
    let method = slots.text(Slot::RpcMethod).or_else(path);
    let whole = method.and_then(service_and_method);
    let whole = whole.filter(|(of_whole, _)| service.is_none_or(|service| service == *of_whole));
    match whole {
        Some((service, method)) => {
            mapped.method = Some(method);
            mapped.path = Some(Cow::Borrowed(service));
        }
        None => {
            mapped.method = method;
            mapped.path = service.map(Cow::Borrowed);
        }
    }
    set_status(mapped, slots, Slot::RpcStatus, status::grpc_code);
    if mapped.status.is_none() && mapped.status_text.is_none() {
        set_status(mapped, slots, Slot::GrpcStatus, status::grpc_code);
    }
}

/// Splits a complete `package.Service/Method`. The path of a gRPC request has this form, and so has rpc.method since version 1.38.
pub fn service_and_method(whole: &str) -> Option<(&str, &str)> {
    let whole = whole.trim_start_matches('/');
    let slash = memchr::memrchr(b'/', whole.as_bytes())?;
    Some((&whole[..slash], &whole[slash + 1..]))
}

fn messaging<'a>(mapped: &mut MappedSpan<'a>, slots: &AttributeSlots<'a>) {
    mapped.protocol = Some("messaging");
    mapped.method = slots.text(Slot::MessagingOperation);
    mapped.path = slots.text(Slot::MessagingDestination).map(Cow::Borrowed);
    mapped.route = slots.text(Slot::TaskName);
}

/// Classifies a CONSUMER by its operation, even if it has attributes of another protocol. Node's AWS SDK, for example, reports
/// an RPC.
fn consume(mapped: &mut MappedSpan<'_>, name: &str, slots: &AttributeSlots<'_>) {
    match slots.text(Slot::MessagingOperation) {
        Some("receive") => mapped.is_receiving = true,
        Some("settle") => mapped.is_aside = true,
        Some(_) => {}
        None => mapped.is_aside = mapped.protocol.is_none() && name == BARE_POLL,
    }
}

/// The first word of a statement or of its summary, if it consists of letters.
fn operation_of(statement: &str) -> Option<&str> {
    let word = statement.split_whitespace().next()?;
    word.bytes()
        .all(|byte| byte.is_ascii_alphabetic())
        .then_some(word)
}

fn set_status<'a>(
    mapped: &mut MappedSpan<'a>,
    slots: &AttributeSlots<'a>,
    slot: Slot,
    code_of_name: impl Fn(&str) -> Option<i64>,
) {
    mapped.status = slots.integer(slot);
    if mapped.status.is_none() {
        let text = slots.text(slot);
        mapped.status = text.and_then(code_of_name);
        mapped.status_text = text.filter(|_| mapped.status.is_none());
    }
}

/// The sizes of the bodies received and sent.
pub fn body_sizes(kind: SpanKind, slots: &AttributeSlots<'_>) -> (Option<u64>, Option<u64>) {
    let message = slots.unsigned(Slot::MessageBodySize);
    let request = slots.unsigned(Slot::RequestBodySize);
    let response = slots.unsigned(Slot::ResponseBodySize);
    match kind {
        SpanKind::Server => (request, response),
        SpanKind::Consumer => (message.or(request), response),
        _ => (response, request.or(message)),
    }
}

/// The receiver of a CLIENT or PRODUCER span: address and port if known (older HTTP clients report them only in the URL), or
/// else the database system or the destination. `scratch` is a buffer for the text.
pub fn peer<'s, 'a: 's>(slots: &AttributeSlots<'a>, scratch: &'s mut String) -> Option<&'s str> {
    if let Some(address) = slots.text(Slot::PeerAddress) {
        let Some(port) = slots.unsigned(Slot::PeerPort) else {
            return Some(address);
        };
        scratch.clear();
        url::push_authority(address, port, scratch);
        return Some(scratch);
    }
    let by_url = slots.text(Slot::UrlFull).and_then(url::authority);
    let by_name = || {
        [Slot::DbSystem, Slot::MessagingDestination]
            .into_iter()
            .find_map(|slot| slots.text(slot))
    };
    by_url.or_else(by_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_a_statements_first_word() {
        for (statement, operation) in [
            ("INSERT INTO orders VALUES (?)", Some("INSERT")),
            ("  select 1", Some("select")),
            ("/* by id */ SELECT 1", None),
            ("", None),
        ] {
            assert_eq!(operation_of(statement), operation, "{statement}");
        }
    }
}
