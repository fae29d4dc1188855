//! Encodes spans as OTLP bytes, without intermediate types.
//!
//! opentelemetry-proto's types allocate a string for each key and value of each span, which costs more CPU time than the
//! rest of a span's life. A test compares this encoder with them.

use cctf_proto::otlp::field;
use opentelemetry::trace::{SpanId, SpanKind, Status, TraceState};
use opentelemetry::{InstrumentationScope, Key, KeyValue, Value};
use opentelemetry_proto::tonic::{resource, trace};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use crate::clock::unix_ns;

/// Span flags of opentelemetry/proto/trace/v1/trace.proto: whether `is_remote` of the parent is known, and its value.
const FLAG_HAS_IS_REMOTE: u32 = 0x100;
const FLAG_IS_REMOTE: u32 = 0x200;

/// The encoded resource, which is part of every request.
pub fn resource(resource: &Resource) -> Vec<u8> {
    let attributes = ResourceAttributesWithSchema::from(resource).attributes.0;
    resource::v1::Resource {
        attributes,
        ..Default::default()
    }
    .encode_to_vec()
}

/// A request with one resource, and for each scope the spans that [`span`] has encoded.
pub fn request(resource: &[u8], scopes: &[(InstrumentationScope, Vec<u8>)]) -> Vec<u8> {
    let heads: Vec<Vec<u8>> = scopes.iter().map(|(scope, _)| scope_head(scope)).collect();
    let scopes = heads.iter().zip(scopes.iter().map(|(_, spans)| spans));
    let of_scope_len = |head: &[u8], spans: &[u8]| bytes_len(head.len()) + spans.len();
    let of_resource_len = bytes_len(resource.len())
        + scopes
            .clone()
            .map(|(head, spans)| bytes_len(of_scope_len(head, spans)))
            .sum::<usize>();
    let mut request = Vec::with_capacity(bytes_len(of_resource_len));
    length(field::RESOURCE_DATA, of_resource_len, &mut request);
    bytes(field::RESOURCE, resource, &mut request);
    for (head, spans) in scopes {
        length(field::SCOPE_DATA, of_scope_len(head, spans), &mut request);
        bytes(field::SCOPE, head, &mut request);
        request.extend_from_slice(spans);
    }
    request
}

fn scope_head(scope: &InstrumentationScope) -> Vec<u8> {
    let mut head = Vec::with_capacity(64);
    string(field::SCOPE_NAME, scope.name(), &mut head);
    string(
        field::SCOPE_VERSION,
        scope.version().unwrap_or_default(),
        &mut head,
    );
    head
}

/// Appends a span as a field of ScopeSpans. `scratch` is a reusable buffer.
pub fn span(span: &SpanData, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    scratch.clear();
    if needs_library(span) {
        scratch.extend(trace::v1::Span::from(span.clone()).encode_to_vec());
    } else {
        write_span(span, scratch);
    }
    bytes(field::ITEM, scratch, out);
}

/// Whether a span has events, links or arrays. This service does not create such spans. If there is one, the library encodes it.
fn needs_library(span: &SpanData) -> bool {
    let has_array = span
        .attributes
        .iter()
        .any(|attribute| matches!(attribute.value, Value::Array(_)));
    has_array || !span.events.is_empty() || !span.links.is_empty()
}

fn write_span(span: &SpanData, out: &mut Vec<u8>) {
    let context = &span.span_context;
    bytes(field::SPAN_TRACE_ID, &context.trace_id().to_bytes(), out);
    bytes(field::SPAN_ID, &context.span_id().to_bytes(), out);
    if *context.trace_state() != TraceState::NONE {
        string(field::SPAN_TRACE_STATE, &context.trace_state().header(), out);
    }
    if span.parent_span_id != SpanId::INVALID {
        bytes(field::SPAN_PARENT, &span.parent_span_id.to_bytes(), out);
    }
    string(field::SPAN_NAME, &span.name, out);
    varint(field::SPAN_KIND, kind_number(&span.span_kind), out);
    fixed64(field::SPAN_START, unix_ns(span.start_time), out);
    fixed64(field::SPAN_END, unix_ns(span.end_time), out);
    for attribute in &span.attributes {
        pair(attribute, out);
    }
    if span.dropped_attributes_count > 0 {
        varint(
            field::SPAN_DROPPED_ATTRIBUTES,
            u64::from(span.dropped_attributes_count),
            out,
        );
    }
    status(&span.status, out);
    let is_remote = if span.parent_span_is_remote {
        FLAG_IS_REMOTE
    } else {
        0
    };
    let flags = u32::from(context.trace_flags().to_u8()) | FLAG_HAS_IS_REMOTE | is_remote;
    encode_key(field::SPAN_FLAGS, WireType::ThirtyTwoBit, out);
    out.extend_from_slice(&flags.to_le_bytes());
}

fn kind_number(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

fn status(status: &Status, out: &mut Vec<u8>) {
    let (code, message): (u64, &str) = match status {
        Status::Unset => return,
        Status::Ok => (1, ""),
        Status::Error { description } => (2, description),
    };
    let message_len = if message.is_empty() {
        0
    } else {
        bytes_len(message.len())
    };
    encode_key(field::SPAN_STATUS, WireType::LengthDelimited, out);
    encode_varint((message_len + 2) as u64, out);
    string(field::STATUS_MESSAGE, message, out);
    varint(field::STATUS_CODE, code, out);
}

fn pair(pair: &KeyValue, out: &mut Vec<u8>) {
    let key: &Key = &pair.key;
    let value_len = value_len(&pair.value);
    encode_key(field::SPAN_ATTRIBUTES, WireType::LengthDelimited, out);
    encode_varint((bytes_len(key.as_str().len()) + bytes_len(value_len)) as u64, out);
    bytes(field::PAIR_KEY, key.as_str().as_bytes(), out);
    encode_key(field::PAIR_VALUE, WireType::LengthDelimited, out);
    encode_varint(value_len as u64, out);
    value(&pair.value, out);
}

fn value_len(value: &Value) -> usize {
    match value {
        Value::Bool(_) => 2,
        Value::I64(number) => 1 + encoded_len_varint(unsigned(*number)),
        Value::F64(_) => 9,
        other => bytes_len(other.as_str().len()),
    }
}

fn value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Bool(truth) => varint(field::ANY_BOOL, u64::from(*truth), out),
        Value::I64(number) => varint(field::ANY_INT, unsigned(*number), out),
        Value::F64(number) => fixed64(field::ANY_DOUBLE, number.to_bits(), out),
        Value::String(text) => bytes(field::ANY_STRING, text.as_str().as_bytes(), out),
        other => bytes(field::ANY_STRING, other.as_str().as_bytes(), out),
    }
}

/// int64 on the wire: two's complement.
fn unsigned(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}

/// Encoded length of a bytes field with a number below 16, whose key is one byte.
fn bytes_len(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

/// Writes key and length of a field; the content must follow.
fn length(field: u32, length: usize, out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(length as u64, out);
}

fn bytes(field: u32, content: &[u8], out: &mut Vec<u8>) {
    length(field, content.len(), out);
    out.extend_from_slice(content);
}

fn string(field: u32, text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() {
        bytes(field, text.as_bytes(), out);
    }
}

fn varint(field: u32, number: u64, out: &mut Vec<u8>) {
    encode_key(field, WireType::Varint, out);
    encode_varint(number, out);
}

fn fixed64(field: u32, number: u64, out: &mut Vec<u8>) {
    encode_key(field, WireType::SixtyFourBit, out);
    out.extend_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::trace::{Link, SpanContext, TraceFlags, TraceState};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
    use proptest::prelude::*;
    use std::str::FromStr;

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e300..1e300).prop_map(|number: f64| Value::from(number)),
            ".{0,200}".prop_map(Value::from),
            Just(Value::Array(vec![1_i64, 2].into())),
        ]
    }

    fn any_status() -> impl Strategy<Value = Status> {
        prop_oneof![
            Just(Status::Unset),
            Just(Status::Ok),
            ".{0,20}".prop_map(Status::error)
        ]
    }

    fn any_kind() -> impl Strategy<Value = SpanKind> {
        use SpanKind::{Client, Consumer, Internal, Producer, Server};
        prop_oneof![
            Just(Client),
            Just(Consumer),
            Just(Internal),
            Just(Producer),
            Just(Server)
        ]
    }

    prop_compose! {
        fn any_span()(
            ids in any::<(u128, u64, u64)>(),
            sampled in any::<bool>(),
            remote in any::<bool>(),
            timestamps in any::<(u32, u32)>(),
            name in ".{0,40}",
            attributes in prop::collection::vec(("[a-z.]{1,30}", any_value()), 0..20),
            dropped in 0..3_u32,
            status in any_status(),
            kind in any_kind(),
            state in prop_oneof![Just(""), Just("ot=th:8")],
            linked in any::<bool>(),
        ) -> SpanData {
            let flags = TraceFlags::default().with_sampled(sampled);
            let state = TraceState::from_str(state).unwrap();
            let context = SpanContext::new(ids.0.into(), ids.1.into(), flags, false, state);
            let mut links = SpanLinks::default();
            links.links.extend(linked.then(|| Link::with_context(context.clone())));
            let attributes = attributes.into_iter().map(|(key, value)| KeyValue::new(key, value));
            SpanData {
                span_context: context,
                parent_span_id: ids.2.into(),
                parent_span_is_remote: remote,
                span_kind: kind,
                name: name.into(),
                start_time: crate::clock::system_time(timestamps.0.into()),
                end_time: crate::clock::system_time(timestamps.1.into()),
                attributes: attributes.collect(),
                dropped_attributes_count: dropped,
                events: SpanEvents::default(),
                links,
                status,
                instrumentation_scope: InstrumentationScope::builder("scope").with_version("1").build(),
            }
        }
    }

    proptest! {
        #[test]
        fn encoded_spans_decode_like_those_of_the_library(spans in prop::collection::vec(any_span(), 1..5)) {
            let described = Resource::builder_empty().with_attribute(KeyValue::new("service.name", "x")).build();
            let (mut scratch, mut written) = (Vec::new(), Vec::new());
            for one in &spans {
                span(one, &mut scratch, &mut written);
            }
            let scope = spans[0].instrumentation_scope.clone();
            let request = request(&resource(&described), &[(scope, written)]);
            let read = ExportTraceServiceRequest::decode(&request[..]).unwrap();
            let mut expected = group_spans_by_resource_and_scope(spans, &(&described).into());
            // The library writes an unset status, which is equivalent to none.
            for one in expected.iter_mut().flat_map(|of| &mut of.scope_spans).flat_map(|of| &mut of.spans) {
                one.status = one.status.take().filter(|status| status.code != 0);
            }
            let mut read = read.resource_spans;
            for one in read.iter_mut().flat_map(|of| &mut of.scope_spans).flat_map(|of| &mut of.spans) {
                one.status = one.status.take().filter(|status| status.code != 0);
            }
            prop_assert_eq!(read, expected);
        }
    }
}
