//! [`push_request`]: writes a request as JSON, in the form of the Collector's file exporter: ids as hexadecimal digits, 64-bit
//! integers as texts.

use std::io::Write as _;

use cctf_proto::cctf::push_json_string;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

/// Appends a request, as one line without a newline.
pub fn push_request(request: &ExportTraceServiceRequest, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"resourceSpans\":");
    push_list(&request.resource_spans, out, push_resource_spans);
    out.push(b'}');
}

fn push_list<T>(items: &[T], out: &mut Vec<u8>, push: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push(item, out);
    }
    out.push(b']');
}

fn push_resource_spans(spans: &ResourceSpans, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"resource\":{\"attributes\":");
    let attributes = spans.resource.as_ref().map(|resource| &*resource.attributes);
    push_list(attributes.unwrap_or_default(), out, push_attribute);
    out.extend_from_slice(b"},\"scopeSpans\":");
    push_list(&spans.scope_spans, out, push_scope_spans);
    out.push(b'}');
}

fn push_scope_spans(spans: &ScopeSpans, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"scope\":{");
    if let Some(scope) = &spans.scope {
        out.extend_from_slice(b"\"name\":");
        push_json_string(&scope.name, out);
        out.extend_from_slice(b",\"version\":");
        push_json_string(&scope.version, out);
    }
    out.extend_from_slice(b"},\"spans\":");
    push_list(&spans.spans, out, push_span);
    out.push(b'}');
}

fn push_span(span: &Span, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"traceId\":");
    push_hex(&span.trace_id, out);
    out.extend_from_slice(b",\"spanId\":");
    push_hex(&span.span_id, out);
    if !span.trace_state.is_empty() {
        out.extend_from_slice(b",\"traceState\":");
        push_json_string(&span.trace_state, out);
    }
    out.extend_from_slice(b",\"parentSpanId\":");
    push_hex(&span.parent_span_id, out);
    if span.flags != 0 {
        push_number(",\"flags\":", i64::from(span.flags), "", out);
    }
    out.extend_from_slice(b",\"name\":");
    push_json_string(&span.name, out);
    push_number(",\"kind\":", i64::from(span.kind), "", out);
    push_number(",\"startTimeUnixNano\":\"", span.start_time_unix_nano, "\"", out);
    push_number(",\"endTimeUnixNano\":\"", span.end_time_unix_nano, "\"", out);
    if !span.attributes.is_empty() {
        out.extend_from_slice(b",\"attributes\":");
        push_list(&span.attributes, out, push_attribute);
    }
    if span.dropped_attributes_count > 0 {
        push_number(
            ",\"droppedAttributesCount\":",
            span.dropped_attributes_count,
            "",
            out,
        );
    }
    if !span.links.is_empty() {
        out.extend_from_slice(b",\"links\":");
        push_list(&span.links, out, |link, out| {
            out.extend_from_slice(b"{\"traceId\":");
            push_hex(&link.trace_id, out);
            out.extend_from_slice(b",\"spanId\":");
            push_hex(&link.span_id, out);
            out.push(b'}');
        });
    }
    out.extend_from_slice(b",\"status\":{");
    if let Some(status) = &span.status {
        push_number("\"code\":", i64::from(status.code), "", out);
    }
    out.extend_from_slice(b"}}");
}

fn push_attribute(attribute: &KeyValue, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"key\":");
    push_json_string(&attribute.key, out);
    out.extend_from_slice(b",\"value\":");
    match &attribute.value {
        Some(value) => push_value(value, out),
        None => out.extend_from_slice(b"{}"),
    }
    out.push(b'}');
}

/// Writes the kinds of values that this export has. A value of another kind becomes an empty object.
fn push_value(value: &AnyValue, out: &mut Vec<u8>) {
    out.push(b'{');
    match &value.value {
        Some(Value::StringValue(text)) => {
            out.extend_from_slice(b"\"stringValue\":");
            push_json_string(text, out);
        }
        Some(Value::BoolValue(value)) => push_number("\"boolValue\":", value, "", out),
        Some(Value::IntValue(number)) => push_number("\"intValue\":\"", number, "\"", out),
        // This export has only finite numbers. `Display` writes as many digits as a reader needs for the same double.
        Some(Value::DoubleValue(number)) => push_number("\"doubleValue\":", number, "", out),
        Some(Value::ArrayValue(values)) => {
            out.extend_from_slice(b"\"arrayValue\":{\"values\":");
            push_list(&values.values, out, push_value);
            out.push(b'}');
        }
        _ => {}
    }
    out.push(b'}');
}

fn push_number(before: &str, number: impl std::fmt::Display, after: &str, out: &mut Vec<u8>) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{before}{number}{after}");
}

fn push_hex(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out.push(b'"');
}
