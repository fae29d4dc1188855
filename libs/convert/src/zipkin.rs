//! Spans in the JSON of Zipkin's API, version 2, as requests of OTLP.
//!
//! A call and its answer have one id. It stays as it is: the join and the merge know that such a pair is two spans.
//! Sources: Zipkin's `zipkin2-api.yaml`, and the OpenTelemetry specification, "OpenTelemetry to Zipkin Transformation", read backwards.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::mem::take;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde::Deserialize;
use serde::de::Error as _;

use crate::spans::{Gaps, US, attribute, id, is_short, kind, status, text};

/// Number of spans in a request, and bytes of their JSON, at which it is complete. The Collector's batches are about as large.
const SPANS_MAX: usize = 512;
const BYTES_MAX: usize = 4 << 20;
/// Tags that an exporter of OpenTelemetry took from the resource begin with these.
const RESOURCE_TAGS: [&str; 14] = [
    "service.",
    "telemetry.sdk.",
    "host.",
    "os.",
    "cloud.",
    "k8s.",
    "container.",
    "process.",
    "cctf.node_id",
    "cctf.node.",
    "cctf.stage",
    "cctf.cpu_limit",
    "cctf.mem_limit_mb",
    "cctf.keep_query",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RecordedSpan<'a> {
    #[serde(borrow)]
    trace_id: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    parent_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    /// Start, microseconds since the Unix epoch.
    #[serde(default)]
    timestamp: Option<u64>,
    /// Microseconds.
    #[serde(default)]
    duration: Option<u64>,
    #[serde(borrow, default)]
    local_endpoint: Option<Endpoint<'a>>,
    #[serde(borrow, default)]
    remote_endpoint: Option<Endpoint<'a>>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
    #[serde(default)]
    annotations: Option<Vec<Annotation>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint<'a> {
    #[serde(borrow, default)]
    service_name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    ipv4: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    ipv6: Option<Cow<'a, str>>,
    #[serde(default)]
    port: Option<u16>,
}

#[derive(Deserialize)]
struct Annotation {
    timestamp: u64,
    value: String,
}

/// Spans that become one request.
#[derive(Debug, Default)]
pub struct Batch {
    resources: Vec<ResourceSpans>,
    /// Index of a resource in them.
    by_resource: HashMap<BTreeMap<String, String>, usize>,
    spans: usize,
    /// Bytes of their JSON.
    bytes: usize,
}

impl Batch {
    /// Adds a span, or an array of spans.
    ///
    /// # Errors
    /// If it is something else. Nothing of it is added then.
    pub fn add(&mut self, json: &[u8]) -> Result<Gaps, serde_json::Error> {
        let recorded = match json.first() {
            Some(b'[') => serde_json::from_slice::<Vec<RecordedSpan<'_>>>(json)?,
            _ => vec![serde_json::from_slice(json)?],
        };
        self.bytes += json.len();
        let mut gaps = Gaps::default();
        let spans = recorded
            .into_iter()
            .map(|recorded| converted(recorded, &mut gaps));
        let spans: Vec<Converted> = spans.collect::<Result<_, _>>()?;
        for Converted {
            span,
            resource,
            scope,
        } in spans
        {
            self.spans += 1;
            let scope_spans = self.spans_of(resource);
            match scope_spans.iter_mut().find(|spans| spans.scope == scope) {
                Some(spans) => spans.spans.push(span),
                None => scope_spans.push(ScopeSpans {
                    scope,
                    spans: vec![span],
                    ..ScopeSpans::default()
                }),
            }
        }
        Ok(gaps)
    }

    pub fn is_full(&self) -> bool {
        self.spans >= SPANS_MAX || self.bytes >= BYTES_MAX
    }

    /// The protobuf bytes of all spans. It is empty afterwards.
    pub fn take_request(&mut self) -> Bytes {
        (self.spans, self.bytes) = (0, 0);
        self.by_resource.clear();
        let message = ExportTraceServiceRequest {
            resource_spans: take(&mut self.resources),
        };
        message.encode_to_vec().into()
    }

    fn spans_of(&mut self, resource: BTreeMap<String, String>) -> &mut Vec<ScopeSpans> {
        let index = match self.by_resource.get(&resource) {
            Some(&index) => index,
            None => {
                let attributes = resource.iter().map(|(key, value)| attribute(key, text(value)));
                self.resources.push(ResourceSpans {
                    resource: Some(Resource {
                        attributes: attributes.collect(),
                        ..Resource::default()
                    }),
                    ..ResourceSpans::default()
                });
                self.by_resource.insert(resource, self.resources.len() - 1);
                self.resources.len() - 1
            }
        };
        &mut self.resources[index].scope_spans
    }
}

struct Converted {
    span: Span,
    resource: BTreeMap<String, String>,
    scope: Option<InstrumentationScope>,
}

fn converted(recorded: RecordedSpan<'_>, gaps: &mut Gaps) -> Result<Converted, serde_json::Error> {
    let invalid = |what: &str, id: &str| serde_json::Error::custom(format_args!("invalid {what} {id:?}"));
    let trace_id: [u8; 16] = id(&recorded.trace_id).ok_or_else(|| invalid("traceId", &recorded.trace_id))?;
    let span_id: [u8; 8] = id(&recorded.id).ok_or_else(|| invalid("id", &recorded.id))?;
    let parent = match recorded.parent_id.as_deref().filter(|parent| !parent.is_empty()) {
        Some(parent) => id::<8>(parent)
            .ok_or_else(|| invalid("parentId", parent))?
            .to_vec(),
        None => Vec::new(),
    };
    gaps.trace_id_padded += u64::from(is_short(&trace_id));
    // A span without a kind is work inside of a service, by Zipkin's definition.
    let span_kind = match recorded.kind.as_deref() {
        Some(name) => kind(name).unwrap_or(SpanKind::Unspecified),
        None => SpanKind::Internal,
    };
    gaps.kind_not_recorded += u64::from(span_kind == SpanKind::Unspecified);
    // Without a duration, the end is unknown. The pipeline rejects a span without an end, and counts it.
    let (start, end) = match (recorded.timestamp, recorded.duration) {
        (Some(start), Some(duration)) => (start, start.saturating_add(duration)),
        (start, _) => (start.unwrap_or(0), 0),
    };
    let annotations = recorded.annotations.into_iter().flatten();
    let mut span = Span {
        trace_id: trace_id.to_vec(),
        span_id: span_id.to_vec(),
        parent_span_id: parent,
        name: recorded.name.unwrap_or_default().into_owned(),
        kind: span_kind.into(),
        start_time_unix_nano: start.saturating_mul(US),
        end_time_unix_nano: end.saturating_mul(US),
        events: annotations.map(event).collect(),
        ..Span::default()
    };
    let (mut resource, scope) = set_tags(&mut span, recorded.tags.unwrap_or_default());
    let service = recorded.local_endpoint.and_then(|endpoint| endpoint.service_name);
    if let Some(service) = service.filter(|service| !service.is_empty()) {
        resource
            .entry("service.name".to_owned())
            .or_insert_with(|| service.into_owned());
    }
    gaps.service_not_recorded += u64::from(!resource.contains_key("service.name"));
    if let Some(endpoint) = recorded.remote_endpoint
        && matches!(span_kind, SpanKind::Client | SpanKind::Producer)
    {
        set_peer(&mut span.attributes, &endpoint);
    }
    Ok(Converted {
        span,
        resource,
        scope,
    })
}

/// Sets status and attributes from the tags. Returns those of the resource, and the scope.
fn set_tags(
    span: &mut Span,
    tags: BTreeMap<String, String>,
) -> (BTreeMap<String, String>, Option<InstrumentationScope>) {
    let mut resource = BTreeMap::new();
    let mut scope = InstrumentationScope::default();
    let (mut code, mut error) = (None, None);
    for (key, value) in tags {
        match key.as_str() {
            "otel.status_code" => code = Some(value),
            "otel.scope.name" | "otel.library.name" => scope.name = value,
            "otel.scope.version" | "otel.library.version" => scope.version = value,
            "w3c.tracestate" => span.trace_state = value,
            // Its presence is the error, and its value the message.
            "error" => error = Some(value),
            _ if RESOURCE_TAGS.iter().any(|start| key.starts_with(start)) => {
                resource.insert(key, value);
            }
            _ => span.attributes.push(attribute(&key, text(&value))),
        }
    }
    // Instrumentations that are not Zipkin's own write false for success.
    let has_error = error.as_deref().is_some_and(|error| error != "false");
    span.status = status(code.as_deref(), error.as_deref(), has_error);
    (resource, (!scope.name.is_empty()).then_some(scope))
}

/// The receiver of a call, under names that no recorded tag yields to.
fn set_peer(attributes: &mut Vec<KeyValue>, endpoint: &Endpoint<'_>) {
    let names = [&endpoint.service_name, &endpoint.ipv4, &endpoint.ipv6];
    let name = names.into_iter().flatten().find(|name| !name.is_empty());
    attributes.extend(name.map(|name| attribute("net.peer.ip", text(name))));
    let has_port = attributes
        .iter()
        .any(|attribute| matches!(attribute.key.as_str(), "server.port" | "net.peer.port"));
    if let (Some(port), false) = (endpoint.port, has_port) {
        attributes.push(attribute("net.peer.port", text(&port.to_string())));
    }
}

fn event(annotation: Annotation) -> Event {
    let time_unix_nano = annotation.timestamp.saturating_mul(US);
    match named_event(&annotation.value) {
        Some((name, attributes)) => Event {
            time_unix_nano,
            name,
            attributes,
            ..Event::default()
        },
        None => Event {
            time_unix_nano,
            name: annotation.value,
            ..Event::default()
        },
    }
}

/// An event with attributes, as exporters of OpenTelemetry write it into an annotation: `"name": {attributes}`, also as a JSON
/// object.
fn named_event(annotation: &str) -> Option<(String, Vec<KeyValue>)> {
    type Attributes = serde_json::Map<String, serde_json::Value>;
    let mut named: BTreeMap<String, Attributes> = match annotation.as_bytes().first()? {
        b'{' => serde_json::from_str(annotation).ok()?,
        b'"' => serde_json::from_str(&format!("{{{annotation}}}")).ok()?,
        _ => return None,
    };
    let (name, attributes) = named.pop_first().filter(|_| named.is_empty())?;
    let attributes = attributes.iter().map(|(key, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        attribute(key, text(&value))
    });
    Some((name, attributes.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_of_opentelemetry_have_a_name_and_attributes() {
        for (annotation, expected) in [
            (r#""exception": {"exception.type":"E","n":1}"#, Some(2)),
            (r#"{"exception": {"exception.type": "E"}}"#, Some(1)),
            ("exception", None),
            ("cs", None),
            (r#"{"a": {}, "b": {}}"#, None),
            (r#"{"a": 1}"#, None),
            ("\"", None),
            ("", None),
        ] {
            let found = named_event(annotation).map(|(name, attributes)| {
                assert_eq!(name, "exception");
                attributes.len()
            });
            assert_eq!(found, expected, "{annotation}");
        }
    }
}
