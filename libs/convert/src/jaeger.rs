//! Converts a trace in the JSON of Jaeger's UI and API to a request of OTLP.
//!
//! Sources: Jaeger's model `model/json/model.go`, and the OpenTelemetry specification, "OpenTelemetry to Jaeger Transformation"
//! and "OpenTracing Compatibility", applied in the opposite direction.

mod model;

use std::borrow::Cow;

use aggregate::maps::Map;
use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use self::model::{DamagedTrace, Log, Process, Processes, RecordedSpan, RecordedTrace, Tag};
use crate::grouped::Grouped;
use crate::protobuf::{Value, attribute, bytes_field, field, fixed64, text_attribute, varint_field};
use crate::spans::{Gaps, US, id, is_short, kind, parsed, push_status};

/// A trace that was converted.
pub struct Trace {
    /// The request of OTLP as protobuf.
    pub request: Bytes,
    pub gaps: Gaps,
    /// For each span that is left out, the reason.
    pub damages: Vec<String>,
}

/// Converts a trace. If a span cannot be read, only this span is left out.
///
/// # Errors
/// If `json` is not a trace.
pub fn read(json: &[u8]) -> Result<Trace, serde_json::Error> {
    let mut request = Request::default();
    match parsed::<RecordedTrace<'_>>(json) {
        Ok(trace) => {
            for span in &trace.spans {
                request.add(span, &trace.processes);
            }
        }
        Err(_) => {
            let trace: DamagedTrace<'_> = parsed(json)?;
            for (number, json) in (1..).zip(&trace.spans) {
                match serde_json::from_str::<RecordedSpan<'_>>(json.get()) {
                    Ok(span) => request.add(&span, &trace.processes),
                    Err(error) => request
                        .damages
                        .push(format!("span {number} of the trace cannot be read: {error}")),
                }
            }
        }
    }
    Ok(Trace {
        request: request.spans.take_request(),
        gaps: request.gaps,
        damages: request.damages,
    })
}

/// The request in progress.
#[derive(Default)]
struct Request {
    spans: Grouped,
    by_process: Map<String, Known>,
    gaps: Gaps,
    damages: Vec<String>,
    /// Buffers for a span, and for an event or a link in it.
    span: Vec<u8>,
    part: Vec<u8>,
}

/// A process whose tags are a resource.
#[derive(Debug, Clone, Copy)]
struct Known {
    resource: usize,
    is_named: bool,
}

impl Request {
    fn add(&mut self, recorded: &RecordedSpan<'_>, processes: &Processes<'_>) {
        let (Some(trace_id), Some(span_id)) = (id::<16>(&recorded.trace_id), id::<8>(&recorded.span_id))
        else {
            let RecordedSpan {
                trace_id, span_id, ..
            } = recorded;
            self.damages.push(format!(
                "a span has invalid ids: trace {trace_id:?}, span {span_id:?}"
            ));
            return;
        };
        self.gaps.trace_id_padded += u64::from(is_short(&trace_id));
        let is_adjusted = |warning: &String| warning.contains("adjusted by");
        let warnings = recorded.warnings.iter().flatten();
        self.gaps.clock_adjusted += u64::from(warnings.into_iter().any(is_adjusted));
        let start = recorded.start_time.saturating_mul(US);
        let end = start.saturating_add(recorded.duration.saturating_mul(US));
        let (span, part) = (&mut self.span, &mut self.part);
        span.clear();
        bytes_field(field::SPAN_TRACE_ID, &trace_id, span);
        bytes_field(field::SPAN_ID, &span_id, span);
        push_references(recorded, trace_id, part, span);
        bytes_field(field::SPAN_NAME, recorded.operation_name.as_bytes(), span);
        fixed64(field::SPAN_START, start, span);
        fixed64(field::SPAN_END, end, span);
        let tags = push_tags(recorded.tags.iter().flatten(), span);
        self.gaps.kind_not_recorded += u64::from(tags.kind == SpanKind::Unspecified);
        for log in recorded.logs.iter().flatten() {
            part.clear();
            push_event(log, part);
            bytes_field(field::SPAN_EVENT, part, span);
        }
        let known = self.process(&recorded.process_id, processes);
        self.gaps.service_not_recorded += u64::from(!known.is_named);
        let scope = (&*tags.scope_name, &*tags.scope_version);
        self.spans.push(known.resource, scope, &self.span);
    }

    fn process(&mut self, id: &str, processes: &Processes<'_>) -> Known {
        if let Some(&known) = self.by_process.get(id) {
            return known;
        }
        let (mut attributes, mut is_named) = (Vec::new(), false);
        if let Some(process) = processes.get(id) {
            attributes.reserve(resource_len(process));
            is_named = !process.service_name.is_empty();
            push_resource(process, &mut attributes);
        }
        let resource = self.spans.add(attributes);
        let known = Known { resource, is_named };
        self.by_process.insert(id.to_owned(), known);
        known
    }
}

/// Estimated length of the encoded attributes of a process, bytes.
fn resource_len(process: &Process<'_>) -> usize {
    /// Protobuf keys and lengths of an attribute. For the service, this includes the text `service.name`.
    const MORE_BYTES: usize = 24;
    let tags = process.tags.iter().flatten();
    let of_tags = tags.map(|tag| tag.key.len() + tag.value.get().len() + MORE_BYTES);
    process.service_name.len() + MORE_BYTES + of_tags.sum::<usize>()
}

fn push_resource(process: &Process<'_>, out: &mut Vec<u8>) {
    if !process.service_name.is_empty() {
        text_attribute(
            field::RESOURCE_ATTRIBUTES,
            "service.name",
            process.service_name.as_bytes(),
            out,
        );
    }
    let tags = || process.tags.iter().flatten();
    let has_host = tags().any(|tag| tag.key == "host.name");
    for tag in tags() {
        // Jaeger's own clients use this tag for the name of the host.
        let key = match &*tag.key {
            "hostname" if !has_host => "host.name",
            key => key,
        };
        if let Some(value) = tag.value() {
            attribute(field::RESOURCE_ATTRIBUTES, key, &value, out);
        }
    }
}

/// Appends the parent and the links of a span. The first CHILD_OF reference to the same trace is the parent. All other references
/// are links.
fn push_references(recorded: &RecordedSpan<'_>, trace_id: [u8; 16], link: &mut Vec<u8>, out: &mut Vec<u8>) {
    let (mut parent, mut dropped, mut has_links) = (None, 0, false);
    for reference in recorded.references.iter().flatten() {
        let of_trace = match reference.trace_id == recorded.trace_id {
            true => Some(trace_id),
            false => id(&reference.trace_id),
        };
        let (Some(of_trace), Some(of_span)) = (of_trace, id::<8>(&reference.span_id)) else {
            dropped += 1;
            continue;
        };
        let is_parent = reference.ref_type == "CHILD_OF" && of_trace == trace_id;
        if is_parent && parent.is_none() {
            parent = Some(of_span);
            continue;
        }
        has_links = true;
        link.clear();
        bytes_field(field::LINK_TRACE_ID, &of_trace, link);
        bytes_field(field::LINK_SPAN_ID, &of_span, link);
        bytes_field(field::SPAN_LINK, link, out);
    }
    let old = id::<8>(&recorded.parent_span_id).filter(|id| id.iter().any(|&byte| byte != 0));
    if let Some(parent) = parent.or(old.filter(|_| !has_links)) {
        bytes_field(field::SPAN_PARENT, &parent, out);
    }
    if dropped > 0 {
        varint_field(field::SPAN_DROPPED_LINKS, dropped, out);
    }
}

/// Fields of a span that its tags state and that are not attributes in OTLP.
struct Tags<'t> {
    kind: SpanKind,
    scope_name: Cow<'t, str>,
    scope_version: Cow<'t, str>,
}

/// Appends attributes, kind, trace state and status of a span.
fn push_tags<'t>(tags: impl Iterator<Item = &'t Tag<'t>>, out: &mut Vec<u8>) -> Tags<'t> {
    let mut found = Tags {
        kind: SpanKind::Unspecified,
        scope_name: Cow::Borrowed(""),
        scope_version: Cow::Borrowed(""),
    };
    let (mut code, mut message, mut has_error) = (None, None, false);
    for tag in tags {
        let Some(value) = tag.value() else { continue };
        match (&*tag.key, value) {
            ("span.kind", Value::Text(name)) => found.kind = kind(&name).unwrap_or(SpanKind::Unspecified),
            ("otel.status_code", Value::Text(value)) => code = Some(value),
            ("otel.status_description", Value::Text(value)) => message = Some(value),
            ("otel.scope.name" | "otel.library.name", Value::Text(name)) => found.scope_name = name,
            ("otel.scope.version" | "otel.library.version", Value::Text(version)) => {
                found.scope_version = version;
            }
            ("w3c.tracestate", Value::Text(state)) => {
                bytes_field(field::SPAN_TRACE_STATE, state.as_bytes(), out)
            }
            (key, value) => {
                has_error |= key == "error" && is_true(&value);
                attribute(field::SPAN_ATTRIBUTES, key, &value, out);
            }
        }
    }
    if found.kind != SpanKind::Unspecified {
        varint_field(field::SPAN_KIND, found.kind as u64, out);
    }
    push_status(code.as_deref(), message.as_deref(), has_error, out);
    found
}

fn is_true(value: &Value<'_>) -> bool {
    match value {
        Value::Bool(value) => *value,
        Value::Text(text) => text == "true",
        _ => false,
    }
}

/// Appends the content of an event.
fn push_event(log: &Log<'_>, out: &mut Vec<u8>) {
    fixed64(field::EVENT_TIME, log.timestamp.saturating_mul(US), out);
    for tag in log.fields.iter().flatten() {
        let Some(value) = tag.value() else { continue };
        match (&*tag.key, &value) {
            // OpenTracing's name for an exception.
            ("event", Value::Text(name)) if name == "error" => {
                bytes_field(field::EVENT_NAME, b"exception", out)
            }
            ("event", Value::Text(name)) => bytes_field(field::EVENT_NAME, name.as_bytes(), out),
            ("error.kind", value) => attribute(field::EVENT_ATTRIBUTES, "exception.type", value, out),
            (key, value) => attribute(field::EVENT_ATTRIBUTES, key, value, out),
        }
    }
}
