//! A trace in the JSON of Jaeger's UI and API, as a request of OTLP.
//!
//! Sources: Jaeger's model `model/json/model.go`, and the OpenTelemetry specification, "OpenTelemetry to Jaeger Transformation" and
//! "OpenTracing Compatibility", read backwards.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::spans::{Gaps, US, attribute, id, is_short, kind, status, text};

/// A trace that was read.
pub struct Trace {
    /// The protobuf bytes.
    pub request: Bytes,
    pub gaps: Gaps,
    /// Why spans of it are left out.
    pub damages: Vec<String>,
}

#[derive(Deserialize)]
struct RecordedTrace<'a> {
    #[serde(borrow)]
    spans: Vec<RecordedSpan<'a>>,
    #[serde(borrow)]
    processes: HashMap<String, Process<'a>>,
}

/// A trace of which some span cannot be read.
#[derive(Deserialize)]
struct DamagedTrace<'a> {
    #[serde(borrow)]
    spans: Vec<&'a RawValue>,
    #[serde(borrow)]
    processes: HashMap<String, Process<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordedSpan<'a> {
    #[serde(borrow, rename = "traceID")]
    trace_id: Cow<'a, str>,
    #[serde(borrow, rename = "spanID")]
    span_id: Cow<'a, str>,
    /// The parent in traces of old versions, which have no references.
    #[serde(borrow, rename = "parentSpanID", default)]
    parent_span_id: Cow<'a, str>,
    #[serde(borrow, default)]
    operation_name: Cow<'a, str>,
    #[serde(borrow, default)]
    references: Option<Vec<Reference<'a>>>,
    start_time: u64,
    duration: u64,
    #[serde(borrow, default)]
    tags: Option<Vec<Tag<'a>>>,
    #[serde(borrow, default)]
    logs: Option<Vec<Log<'a>>>,
    #[serde(borrow, rename = "processID", default)]
    process_id: Cow<'a, str>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference<'a> {
    #[serde(borrow)]
    ref_type: Cow<'a, str>,
    #[serde(borrow, rename = "traceID")]
    trace_id: Cow<'a, str>,
    #[serde(borrow, rename = "spanID")]
    span_id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow, rename = "type", default)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    value: &'a RawValue,
}

#[derive(Deserialize)]
struct Log<'a> {
    timestamp: u64,
    #[serde(borrow, default)]
    fields: Option<Vec<Tag<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Process<'a> {
    #[serde(borrow, default)]
    service_name: Cow<'a, str>,
    #[serde(borrow, default)]
    tags: Option<Vec<Tag<'a>>>,
}

/// Reads a trace. A span that cannot be read is left out alone.
///
/// # Errors
/// If it is no trace.
pub fn read(json: &[u8]) -> Result<Trace, serde_json::Error> {
    let mut request = Request::default();
    match serde_json::from_slice::<RecordedTrace<'_>>(json) {
        Ok(trace) => {
            for span in &trace.spans {
                request.add(span, &trace.processes);
            }
        }
        Err(_) => {
            let trace: DamagedTrace<'_> = serde_json::from_slice(json)?;
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
    let Request {
        resources,
        gaps,
        damages,
        ..
    } = request;
    let message = ExportTraceServiceRequest {
        resource_spans: resources,
    };
    Ok(Trace {
        request: message.encode_to_vec().into(),
        gaps,
        damages,
    })
}

#[derive(Default)]
struct Request {
    resources: Vec<ResourceSpans>,
    /// Index of a process in them.
    by_process: HashMap<String, usize>,
    gaps: Gaps,
    damages: Vec<String>,
}

impl Request {
    fn add(&mut self, recorded: &RecordedSpan<'_>, processes: &HashMap<String, Process<'_>>) {
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
        let mut span = Span {
            trace_id: trace_id.to_vec(),
            span_id: span_id.to_vec(),
            name: recorded.operation_name.clone().into_owned(),
            start_time_unix_nano: start,
            end_time_unix_nano: start.saturating_add(recorded.duration.saturating_mul(US)),
            events: recorded.logs.iter().flatten().map(event).collect(),
            ..Span::default()
        };
        set_references(&mut span, recorded, trace_id);
        let scope = set_tags(&mut span, recorded.tags.iter().flatten());
        self.gaps.kind_not_recorded += u64::from(span.kind == SpanKind::Unspecified as i32);
        let spans = self.spans_of(&recorded.process_id, processes);
        match spans.iter_mut().find(|spans| spans.scope == scope) {
            Some(spans) => spans.spans.push(span),
            None => spans.push(ScopeSpans {
                scope,
                spans: vec![span],
                ..ScopeSpans::default()
            }),
        }
    }

    /// The spans of a process, whose tags are the resource.
    fn spans_of(&mut self, id: &str, processes: &HashMap<String, Process<'_>>) -> &mut Vec<ScopeSpans> {
        let index = match self.by_process.get(id) {
            Some(&index) => index,
            None => {
                let process = processes.get(id);
                self.resources.push(ResourceSpans {
                    resource: Some(Resource {
                        attributes: process.map(resource).unwrap_or_default(),
                        ..Resource::default()
                    }),
                    ..ResourceSpans::default()
                });
                self.by_process.insert(id.to_owned(), self.resources.len() - 1);
                self.resources.len() - 1
            }
        };
        let is_named = processes
            .get(id)
            .is_some_and(|process| !process.service_name.is_empty());
        self.gaps.service_not_recorded += u64::from(!is_named);
        &mut self.resources[index].scope_spans
    }
}

fn resource(process: &Process<'_>) -> Vec<KeyValue> {
    let mut attributes = Vec::new();
    if !process.service_name.is_empty() {
        attributes.push(attribute("service.name", text(&process.service_name)));
    }
    let tags = || process.tags.iter().flatten();
    let has_host = tags().any(|tag| tag.key == "host.name");
    for tag in tags() {
        // The name of the host in the tags of Jaeger's own clients.
        let key = match &*tag.key {
            "hostname" if !has_host => "host.name",
            key => key,
        };
        attributes.extend(tag.value().map(|value| attribute(key, value)));
    }
    attributes
}

/// The first CHILD_OF in the same trace is the parent. All others are links, as is FOLLOWS_FROM.
fn set_references(span: &mut Span, recorded: &RecordedSpan<'_>, trace_id: [u8; 16]) {
    for reference in recorded.references.iter().flatten() {
        let (Some(of_trace), Some(of_span)) = (id::<16>(&reference.trace_id), id::<8>(&reference.span_id))
        else {
            span.dropped_links_count += 1;
            continue;
        };
        let is_parent = reference.ref_type == "CHILD_OF" && of_trace == trace_id;
        if is_parent && span.parent_span_id.is_empty() {
            span.parent_span_id = of_span.to_vec();
        } else {
            span.links.push(Link {
                trace_id: of_trace.to_vec(),
                span_id: of_span.to_vec(),
                ..Link::default()
            });
        }
    }
    let old = id::<8>(&recorded.parent_span_id).filter(|id| id.iter().any(|&byte| byte != 0));
    if let (true, true, Some(parent)) = (span.parent_span_id.is_empty(), span.links.is_empty(), old) {
        span.parent_span_id = parent.to_vec();
    }
}

/// Sets kind, status and attributes from the tags. Returns the scope in them.
fn set_tags<'t>(span: &mut Span, tags: impl Iterator<Item = &'t Tag<'t>>) -> Option<InstrumentationScope> {
    let mut scope = InstrumentationScope::default();
    let (mut code, mut message, mut has_error) = (None, None, false);
    for tag in tags {
        let Some(value) = tag.value() else { continue };
        match (&*tag.key, &value) {
            ("span.kind", Value::StringValue(name)) => {
                span.kind = kind(name).unwrap_or(SpanKind::Unspecified).into();
                continue;
            }
            ("otel.status_code", Value::StringValue(found)) => {
                code = Some(found.clone());
                continue;
            }
            ("otel.status_description", Value::StringValue(found)) => {
                message = Some(found.clone());
                continue;
            }
            ("otel.scope.name" | "otel.library.name", Value::StringValue(name)) => {
                scope.name.clone_from(name);
                continue;
            }
            ("otel.scope.version" | "otel.library.version", Value::StringValue(version)) => {
                scope.version.clone_from(version);
                continue;
            }
            ("w3c.tracestate", Value::StringValue(state)) => {
                span.trace_state.clone_from(state);
                continue;
            }
            ("error", Value::BoolValue(true)) => has_error = true,
            ("error", Value::StringValue(found)) => has_error |= found == "true",
            _ => {}
        }
        span.attributes.push(attribute(&tag.key, value));
    }
    span.status = status(code.as_deref(), message.as_deref(), has_error);
    (!scope.name.is_empty()).then_some(scope)
}

fn event(log: &Log<'_>) -> Event {
    let mut event = Event {
        time_unix_nano: log.timestamp.saturating_mul(US),
        ..Event::default()
    };
    for field in log.fields.iter().flatten() {
        let Some(value) = field.value() else { continue };
        match (&*field.key, value) {
            // OpenTracing's name for an exception.
            ("event", Value::StringValue(name)) if name == "error" => event.name = "exception".to_owned(),
            ("event", Value::StringValue(name)) => event.name = name,
            ("error.kind", value) => event.attributes.push(attribute("exception.type", value)),
            (key, value) => event.attributes.push(attribute(key, value)),
        }
    }
    event
}

impl Tag<'_> {
    /// The value in the type that the tag states. `None` if it has another type.
    fn value(&self) -> Option<Value> {
        let json = self.value.get();
        let as_text = || serde_json::from_str::<String>(json).ok();
        match &*self.kind {
            "bool" => match json {
                "true" | "\"true\"" => Some(Value::BoolValue(true)),
                "false" | "\"false\"" => Some(Value::BoolValue(false)),
                _ => None,
            },
            // No digit may be lost, so the number is never a float.
            "int64" => json.trim_matches('"').parse().ok().map(Value::IntValue),
            "float64" => json.trim_matches('"').parse().ok().map(Value::DoubleValue),
            "string" | "binary" => as_text().map(Value::StringValue),
            _ => match json.as_bytes().first()? {
                b'"' => as_text().map(Value::StringValue),
                b't' | b'f' => Some(Value::BoolValue(json == "true")),
                b'n' | b'{' | b'[' => None,
                _ => match json.parse() {
                    Ok(number) => Some(Value::IntValue(number)),
                    Err(_) => json.parse().ok().map(Value::DoubleValue),
                },
            },
        }
    }
}
