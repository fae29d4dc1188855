//! [`map_span`]: one span's attributes become the fields of an invocation or a call.

use std::borrow::Cow;

use cctf_proto::otlp::trace::{Span, SpanKind, StatusCode};

use super::conventions::Slot;
use super::slots::AttributeSlots;
use super::{sampling, status, url};

/// The fields that come from a span's attributes, for both its sides: `bytes_in` and `bytes_out` are of a SERVER's view
/// for SERVER and CONSUMER spans, and of a CLIENT's view for all others.
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
    /// Whether this span is neither work nor a call: a CONSUMER that settles messages, a CLIENT that looks up a name.
    pub is_aside: bool,
    /// Whether this is a CONSUMER that says it receives: it asks for messages, or handles one.
    pub is_receiving: bool,
}

/// Name of the CLIENT spans that Node's instrumentation of `dns` makes. Asking for an address is part of whatever needs it.
const NAME_LOOKUP: &str = "dns.lookup";
/// Names of the INTERNAL spans that Node's instrumentation of `net` makes. Whoever connects outside a request gives them no
/// parent, which makes no batch job of them.
const CONNECTS: [&str; 3] = ["tcp.connect", "tls.connect", "ipc.connect"];

/// Name of the CONSUMER spans that Python's instrumentation of `confluent_kafka` makes for each poll. They have no attributes;
/// the messages are handled in spans below.
const BARE_POLL: &str = "recv";

/// Maps the attributes in `slots` of `span`.
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
    // What a server answers by HTTP is an HTTP request, whatever its handler notes of a broker or a database.
    let is_http_served = is_http && span.kind == SpanKind::Server;
    // A call through HTTP that an RPC system, broker or database makes is told by the more particular of its names.
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
        mapped.is_aside = CONNECTS.contains(&span.name);
    }
    if span.kind == SpanKind::Consumer {
        consume(&mut mapped, span.name, slots);
    }
    if mapped.status.is_none() && mapped.status_text.is_none() {
        http_status(&mut mapped, span, slots);
    }
    sizes(&mut mapped, span.kind, slots);
    mapped.name = name_of(span, &mapped).map(|name| slots.bounded(name));
    mapped
}

/// The span's name, where method and path do not say it.
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

fn http_path<'a>(slots: &AttributeSlots<'a>) -> Option<&'a str> {
    slots
        .text(Slot::UrlPath)
        .or_else(|| slots.text(Slot::HttpTarget).map(url::path_of_target))
        .or_else(|| slots.text(Slot::UrlFull).and_then(url::path))
}

/// The status of what travels over HTTP and has no status of its own. Where the protocol inside has one, a success of HTTP
/// says nothing of the call: gRPC answers 200 whatever becomes of it, and a failed span has not succeeded.
fn http_status<'a>(mapped: &mut MappedSpan<'a>, span: &Span<'a>, slots: &AttributeSlots<'a>) {
    set_status(mapped, slots, Slot::HttpStatus, |_| None);
    let is_inner_protocol = mapped.protocol.is_some_and(|protocol| protocol != "http");
    let says_nothing = is_inner_protocol && (span.status.code == StatusCode::Error || is_grpc(slots));
    mapped.status = mapped
        .status
        .filter(|&status| status::is_http_status(status) && !(says_nothing && status < 400));
}

fn is_rpc(slots: &AttributeSlots<'_>) -> bool {
    slots.has(Slot::RpcSystem) || slots.has(Slot::RpcMethod) || has_grpc(slots)
}

/// Whether a proxy, which sees HTTP, has seen gRPC in it.
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
    // Since 1.38 rpc.method is the whole `package.Service/Method`, and a gRPC request's path always was.
    let whole = method.and_then(|method| method.trim_start_matches('/').rsplit_once('/'));
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

fn messaging<'a>(mapped: &mut MappedSpan<'a>, slots: &AttributeSlots<'a>) {
    mapped.protocol = Some("messaging");
    mapped.method = slots.text(Slot::MessagingOperation);
    mapped.path = slots.text(Slot::MessagingDestination).map(Cow::Borrowed);
    mapped.route = slots.text(Slot::TaskName);
}

/// What a CONSUMER does with messages, whichever system it names besides: Node's AWS SDK names an RPC.
fn consume(mapped: &mut MappedSpan<'_>, name: &str, slots: &AttributeSlots<'_>) {
    match slots.text(Slot::MessagingOperation) {
        Some("receive") => mapped.is_receiving = true,
        Some("settle") => mapped.is_aside = true,
        Some(_) => {}
        None => mapped.is_aside = mapped.protocol.is_none() && name == BARE_POLL,
    }
}

/// The first word of a statement, or of its summary, if it is one.
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

fn sizes(mapped: &mut MappedSpan<'_>, kind: SpanKind, slots: &AttributeSlots<'_>) {
    let message = slots.unsigned(Slot::MessageBodySize);
    let request = slots.unsigned(Slot::RequestBodySize);
    let response = slots.unsigned(Slot::ResponseBodySize);
    match kind {
        SpanKind::Server => (mapped.bytes_in, mapped.bytes_out) = (request, response),
        SpanKind::Consumer => (mapped.bytes_in, mapped.bytes_out) = (message.or(request), response),
        _ => (mapped.bytes_in, mapped.bytes_out) = (response, request.or(message)),
    }
}

/// Whom a CLIENT or PRODUCER span was sent to: address and port, which older HTTP clients tell in the URL alone, else the
/// database system, else the destination. `scratch` is where it is put together, if need be.
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
