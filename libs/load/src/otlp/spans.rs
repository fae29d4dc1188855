//! [`SpanEncoder`]: the driver's spans as OTLP bytes. Each request adds its own fields to those of its method and URL.
//! [`control_request`], [`alive_request`]: the driver's messages about the run.

use bytes::Bytes;
use cctf_proto::keys;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, span::SpanKind, status::StatusCode,
};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::exchange::Exchange;
use crate::ids::{Ids, write_hex};
use crate::otlp::attributes::{SPAN_FLAGS, integer, text};

const SCOPE_NAME: &str = "cctf.load";

/// Field numbers of OTLP messages that enclose encoded spans.
const REQUEST_RESOURCE_SPANS: u32 = 1;
const RESOURCE_SPANS_RESOURCE: u32 = 1;
const RESOURCE_SPANS_SCOPE_SPANS: u32 = 2;
const SCOPE_SPANS_SCOPE: u32 = 1;
const SCOPE_SPANS_SPANS: u32 = 2;

/// A request with one control span of zero length and scope `cctf.control`, in a trace of its own.
pub fn control_request(resource: &Resource, name: &str, at_unix_ns: u64, attributes: Vec<KeyValue>) -> Bytes {
    let span = Span {
        trace_id: rand::random::<[u8; 16]>().to_vec(),
        span_id: rand::random::<[u8; 8]>().to_vec(),
        name: name.to_owned(),
        kind: SpanKind::Internal as i32,
        start_time_unix_nano: at_unix_ns,
        end_time_unix_nano: at_unix_ns,
        flags: SPAN_FLAGS,
        attributes,
        ..Span::default()
    };
    of_control_scope(resource, vec![span])
}

/// A request without spans, by which the driver reports that it is alive.
pub fn alive_request(resource: &Resource) -> Bytes {
    of_control_scope(resource, Vec::new())
}

/// A request with these spans of scope `cctf.control`.
fn of_control_scope(resource: &Resource, spans: Vec<Span>) -> Bytes {
    let scope_spans = ScopeSpans {
        scope: Some(scope(keys::CONTROL_SCOPE)),
        spans,
        ..ScopeSpans::default()
    };
    let resource_spans = ResourceSpans {
        resource: Some(resource.clone()),
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![resource_spans],
    };
    request.encode_to_vec().into()
}

fn scope(name: &str) -> InstrumentationScope {
    InstrumentationScope {
        name: name.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

#[derive(Debug)]
pub struct SpanEncoder {
    resource: Vec<u8>,
    scope: Vec<u8>,
    ids: Ids,
    spans: Vec<u8>,
}

impl SpanEncoder {
    /// `ids` are those of the session.
    pub fn new(resource: &Resource, ids: Ids) -> Self {
        Self {
            resource: resource.encode_to_vec(),
            scope: scope(SCOPE_NAME).encode_to_vec(),
            ids,
            spans: Vec::new(),
        }
    }

    /// The bytes of an ExportTraceServiceRequest with one CLIENT span for each exchange.
    pub fn encode(&mut self, exchanges: &[Exchange]) -> Bytes {
        let mut spans = std::mem::take(&mut self.spans);
        spans.clear();
        for exchange in exchanges {
            let own = own_part(self.ids, exchange);
            let shared = exchange.facts.span_part();
            // Fields of a protobuf message may come in any order, so two concatenated encodings are one message.
            encode_key(SCOPE_SPANS_SPANS, WireType::LengthDelimited, &mut spans);
            encode_varint((own.encoded_len() + shared.len()) as u64, &mut spans);
            own.encode_raw(&mut spans);
            spans.extend_from_slice(shared);
        }
        let request = self.wrap(&spans);
        self.spans = spans;
        request
    }

    fn wrap(&self, spans: &[u8]) -> Bytes {
        let scope_spans_bytes = field_len(SCOPE_SPANS_SCOPE, self.scope.len()) + spans.len();
        let resource_spans_bytes = field_len(RESOURCE_SPANS_RESOURCE, self.resource.len())
            + field_len(RESOURCE_SPANS_SCOPE_SPANS, scope_spans_bytes);
        let mut out = Vec::with_capacity(field_len(REQUEST_RESOURCE_SPANS, resource_spans_bytes));
        encode_head(REQUEST_RESOURCE_SPANS, resource_spans_bytes, &mut out);
        encode_head(RESOURCE_SPANS_RESOURCE, self.resource.len(), &mut out);
        out.extend_from_slice(&self.resource);
        encode_head(RESOURCE_SPANS_SCOPE_SPANS, scope_spans_bytes, &mut out);
        encode_head(SCOPE_SPANS_SCOPE, self.scope.len(), &mut out);
        out.extend_from_slice(&self.scope);
        out.extend_from_slice(spans);
        out.into()
    }
}

fn encode_head(field: u32, len: usize, out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

fn field_len(field: u32, len: usize) -> usize {
    prost::encoding::key_len(field) + prost::encoding::encoded_len_varint(len as u64) + len
}

/// The fields of one exchange's span.
fn own_part(ids: Ids, exchange: &Exchange) -> Span {
    let number = exchange.sent.request.number;
    let mut attributes = Vec::with_capacity(8);
    attributes.push(integer("http.request.body.size", exchange.body_bytes_out as i64));
    attributes.push(integer(
        keys::LATENESS_NS,
        i64::try_from(exchange.sent.lateness_ns()).unwrap_or(i64::MAX),
    ));
    if let Some(original) = &exchange.original {
        attributes.push(text(keys::REPLAY_OF_TRACE_ID, &hex(&original.trace_id)));
        attributes.push(text(keys::REPLAY_OF_SPAN_ID, &hex(&original.span_id)));
    }
    if exchange.failure.is_none() {
        attributes.push(integer("http.response.status_code", i64::from(exchange.status)));
        attributes.push(integer("http.response.body.size", exchange.body_bytes_in as i64));
    }
    if exchange.resends > 0 {
        attributes.push(integer("http.request.resend_count", i64::from(exchange.resends)));
    }
    let error = error_type(exchange);
    if let Some(error) = &error {
        attributes.push(text("error.type", error));
    }
    Span {
        trace_id: ids.trace_id(number).to_vec(),
        span_id: ids.span_id(number).to_vec(),
        start_time_unix_nano: exchange.sent.unix_ns,
        end_time_unix_nano: exchange.sent.unix_ns.saturating_add(exchange.latency_ns),
        status: error.map(|_| Status {
            code: StatusCode::Error as i32,
            message: exchange.error_text(),
        }),
        attributes,
        ..Span::default()
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut digits = vec![0; 2 * bytes.len()];
    write_hex(bytes, &mut digits);
    digits.into_iter().map(char::from).collect()
}

/// `error.type` by the semantic conventions of a client: a status of 400 or above, or the kind of failure.
fn error_type(exchange: &Exchange) -> Option<String> {
    match exchange.failure {
        Some(failure) => Some(failure.error_type().to_owned()),
        None => (exchange.status >= 400).then(|| exchange.status.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use opentelemetry_proto::tonic::common::v1::any_value::Value;

    use super::*;
    use crate::exchange::{Failure, Request, Sent};
    use crate::facts::RequestFacts;
    use crate::otlp::identity::{DriverIdentity, SERVICE_NAME};
    use crate::plan::target::Target;
    use crate::stream::Original;

    fn exchange(number: u64, status: u16, failure: Option<Failure>, resends: u8) -> Exchange {
        let target = Target::parse("http://127.0.0.1:8080").unwrap();
        let request = Request {
            number,
            intended_ns: 500,
        };
        let sent = Sent {
            request,
            monotonic_ns: 1_700,
            unix_ns: 1_760_000_000_000_000_001,
        };
        Exchange {
            facts: Arc::new(RequestFacts::new(
                "json",
                "POST",
                &target,
                "/json/validate",
                "run-1",
            )),
            original: None,
            body_bytes_out: 8192,
            sent,
            latency_ns: 5_000,
            status,
            body_bytes_in: 15,
            failure,
            resends,
        }
    }

    fn encode(exchanges: Vec<Exchange>) -> (ExportTraceServiceRequest, Ids) {
        let ids = Ids::new(1);
        let identity = DriverIdentity {
            node_id: Some("driver0".into()),
            stage: None,
            app_id: Some("shop".into()),
        };
        let mut encoder = SpanEncoder::new(&identity.resource("i-1"), ids);
        let bytes = encoder.encode(&exchanges);
        (ExportTraceServiceRequest::decode(bytes).unwrap(), ids)
    }

    fn value(attributes: &[KeyValue], key: &str) -> Option<Value> {
        let found = attributes.iter().find(|attribute| attribute.key == key)?;
        found.value.as_ref()?.value.clone()
    }

    #[test]
    fn a_success_is_a_client_span_with_the_shared_and_its_own_attributes() {
        let (request, ids) = encode(vec![exchange(0, 200, None, 0), exchange(1, 200, None, 0)]);
        let scope_spans = &request.resource_spans[0].scope_spans[0];
        assert_eq!(scope_spans.scope.as_ref().unwrap().name, SCOPE_NAME);
        assert_eq!(scope_spans.spans.len(), 2);
        let span = &scope_spans.spans[1];
        assert_eq!(
            (span.trace_id.as_slice(), span.span_id.as_slice()),
            (&ids.trace_id(1)[..], &ids.span_id(1)[..])
        );
        assert!(span.parent_span_id.is_empty() && span.status.is_none());
        assert_eq!((span.kind, span.name.as_str()), (SpanKind::Client as i32, "POST"));
        assert_eq!(span.start_time_unix_nano, 1_760_000_000_000_000_001);
        assert_eq!(span.end_time_unix_nano - span.start_time_unix_nano, 5_000);
        for (key, expected) in [
            ("http.request.method", Value::StringValue("POST".into())),
            (
                "url.full",
                Value::StringValue("http://127.0.0.1:8080/json/validate".into()),
            ),
            ("server.address", Value::StringValue("127.0.0.1".into())),
            ("server.port", Value::IntValue(8080)),
            ("http.request.body.size", Value::IntValue(8192)),
            ("http.response.body.size", Value::IntValue(15)),
            ("http.response.status_code", Value::IntValue(200)),
            (keys::RUN_ID, Value::StringValue("run-1".into())),
            (keys::LATENESS_NS, Value::IntValue(1_200)),
        ] {
            assert_eq!(value(&span.attributes, key), Some(expected), "{key}");
        }
        assert_eq!(value(&span.attributes, keys::REPLAY_OF_TRACE_ID), None);
        assert_eq!(value(&span.attributes, "error.type"), None);
    }

    #[test]
    fn the_span_of_a_replayed_request_names_its_original() {
        let original = Original {
            trace_id: [0xab; 16],
            span_id: [0x0c; 8],
            status: Some(200),
        };
        let replayed = Exchange {
            original: Some(original),
            ..exchange(0, 200, None, 0)
        };
        let (request, _) = encode(vec![replayed, exchange(1, 200, None, 0)]);
        let spans = &request.resource_spans[0].scope_spans[0].spans;
        for (key, expected) in [
            (keys::REPLAY_OF_TRACE_ID, "ab".repeat(16)),
            (keys::REPLAY_OF_SPAN_ID, "0c".repeat(8)),
        ] {
            assert_eq!(
                value(&spans[0].attributes, key),
                Some(Value::StringValue(expected))
            );
            assert_eq!(value(&spans[1].attributes, key), None);
        }
    }

    #[test]
    fn the_resource_names_the_driver_and_only_what_is_known_of_it() {
        let (request, _) = encode(vec![exchange(0, 200, None, 0)]);
        let attributes = &request.resource_spans[0].resource.as_ref().unwrap().attributes;
        assert_eq!(
            value(attributes, "service.name"),
            Some(Value::StringValue(SERVICE_NAME.into()))
        );
        assert_eq!(
            value(attributes, "service.namespace"),
            Some(Value::StringValue("shop".into()))
        );
        assert_eq!(
            value(attributes, keys::NODE_ID),
            Some(Value::StringValue("driver0".into()))
        );
        assert_eq!(value(attributes, keys::STAGE), None);
    }

    #[test]
    fn a_failure_and_a_bad_status_have_their_error_type() {
        let (request, _) = encode(vec![
            exchange(0, 503, None, 1),
            exchange(1, 0, Some(Failure::Timeout), 0),
        ]);
        let spans = &request.resource_spans[0].scope_spans[0].spans;
        assert_eq!(
            value(&spans[0].attributes, "error.type"),
            Some(Value::StringValue("503".into()))
        );
        assert_eq!(
            value(&spans[0].attributes, "http.request.resend_count"),
            Some(Value::IntValue(1))
        );
        assert_eq!(
            value(&spans[1].attributes, "error.type"),
            Some(Value::StringValue("timeout".into()))
        );
        assert_eq!(value(&spans[1].attributes, "http.response.status_code"), None);
        assert_eq!(spans[1].status.as_ref().unwrap().code, StatusCode::Error as i32);
    }

    #[test]
    fn a_control_span_has_zero_length_and_the_control_scope() {
        let resource = DriverIdentity::default().resource("i-1");
        let bytes = control_request(
            &resource,
            keys::RUN_START_SPAN,
            9,
            vec![text(keys::RUN_ID, "run-1")],
        );
        let request = ExportTraceServiceRequest::decode(bytes).unwrap();
        let scope_spans = &request.resource_spans[0].scope_spans[0];
        assert_eq!(scope_spans.scope.as_ref().unwrap().name, keys::CONTROL_SCOPE);
        let span = &scope_spans.spans[0];
        assert_eq!(
            (span.start_time_unix_nano, span.end_time_unix_nano, span.kind),
            (9, 9, SpanKind::Internal as i32)
        );
        assert_eq!(
            value(&span.attributes, keys::RUN_ID),
            Some(Value::StringValue("run-1".into()))
        );
    }
}
