//! Spans in the JSON of Zipkin's API, version 2, as requests of OTLP.
//!
//! In Zipkin, the span of a call at the client and the span at the server share one id. The conversion keeps this id, because the
//! join and the merge accept two such spans.
//! Sources: Zipkin's `zipkin2-api.yaml`, and the OpenTelemetry specification, "OpenTelemetry to Zipkin Transformation", read backwards.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use aggregate::maps::Map;
use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::grouped::Grouped;
use crate::protobuf::{bytes_field, field, fixed64, text_attribute, varint_field};
use crate::spans::{Gaps, US, id, is_short, kind, parsed, push_status};

/// Number of spans in a request, and bytes of their JSON, at which it is complete. SDKs export 512 spans at a time by default.
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
    #[serde(borrow, default)]
    tags: Option<Tags<'a>>,
    #[serde(borrow, default)]
    annotations: Option<Vec<Annotation<'a>>>,
}

/// A text, borrowed if it has no escape sequence.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Tags, sorted by name. Of several with one name, the last one remains.
struct Tags<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Tags<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TagsVisitor;
        impl<'de> Visitor<'de> for TagsVisitor {
            type Value = Tags<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object of texts")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Tags<'de>, M::Error> {
                let mut tags = Vec::new();
                while let Some((Text(key), Text(value))) = map.next_entry()? {
                    tags.push((key, value));
                }
                tags.reverse();
                tags.sort_by(|(left, _), (right, _)| left.cmp(right));
                tags.dedup_by(|(later, _), (kept, _)| later == kept);
                Ok(Tags(tags))
            }
        }
        deserializer.deserialize_map(TagsVisitor)
    }
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
struct Annotation<'a> {
    timestamp: u64,
    #[serde(borrow)]
    value: Cow<'a, str>,
}

/// The ids of a span.
struct Ids {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    parent: Option<[u8; 8]>,
}

impl Ids {
    fn of(recorded: &RecordedSpan<'_>) -> Result<Self, serde_json::Error> {
        let invalid = |what: &str, id: &str| serde_json::Error::custom(format_args!("invalid {what} {id:?}"));
        let parent = recorded.parent_id.as_deref().filter(|parent| !parent.is_empty());
        Ok(Self {
            trace_id: id(&recorded.trace_id).ok_or_else(|| invalid("traceId", &recorded.trace_id))?,
            span_id: id(&recorded.id).ok_or_else(|| invalid("id", &recorded.id))?,
            parent: parent
                .map(|parent| id::<8>(parent).ok_or_else(|| invalid("parentId", parent)))
                .transpose()?,
        })
    }
}

/// Spans that become one request.
#[derive(Debug, Default)]
pub struct Batch {
    grouped: Grouped,
    /// Number of a resource, by its encoded attributes.
    by_resource: Map<Vec<u8>, usize>,
    spans: usize,
    /// Bytes of their JSON.
    bytes: usize,
    /// Buffers for a span, for an event in it, and for its resource.
    span: Vec<u8>,
    event: Vec<u8>,
    resource: Vec<u8>,
}

impl Batch {
    /// Adds a span, or an array of spans.
    ///
    /// # Errors
    /// If `json` is neither, or if an id is invalid. Then no span is added.
    pub fn add(&mut self, json: &[u8]) -> Result<Gaps, serde_json::Error> {
        let recorded = match json.first() {
            Some(b'[') => parsed::<Vec<RecordedSpan<'_>>>(json)?,
            _ => vec![parsed(json)?],
        };
        let ids: Vec<Ids> = recorded.iter().map(Ids::of).collect::<Result<_, _>>()?;
        self.bytes += json.len();
        let mut gaps = Gaps::default();
        for (recorded, ids) in recorded.iter().zip(&ids) {
            self.push(recorded, ids, &mut gaps);
        }
        Ok(gaps)
    }

    pub fn is_full(&self) -> bool {
        self.spans >= SPANS_MAX || self.bytes >= BYTES_MAX
    }

    /// The protobuf bytes of all spans, which are removed from this object.
    pub fn take_request(&mut self) -> Bytes {
        (self.spans, self.bytes) = (0, 0);
        self.by_resource.clear();
        self.grouped.take_request()
    }

    fn push(&mut self, recorded: &RecordedSpan<'_>, ids: &Ids, gaps: &mut Gaps) {
        gaps.trace_id_padded += u64::from(is_short(&ids.trace_id));
        // Zipkin defines a span without a kind as local (work inside of a service) or incomplete. The first is assumed.
        let span_kind = match recorded.kind.as_deref() {
            Some(name) => kind(name).unwrap_or(SpanKind::Unspecified),
            None => SpanKind::Internal,
        };
        gaps.kind_not_recorded += u64::from(span_kind == SpanKind::Unspecified);
        let span = &mut self.span;
        push_head(recorded, ids, span_kind, span);
        for annotation in recorded.annotations.iter().flatten() {
            self.event.clear();
            push_event(annotation, &mut self.event);
            bytes_field(field::SPAN_EVENT, &self.event, span);
        }
        let tags = push_tags(recorded.tags.as_ref(), span);
        if let Some(endpoint) = &recorded.remote_endpoint
            && matches!(span_kind, SpanKind::Client | SpanKind::Producer)
        {
            push_peer(endpoint, tags.has_port, span);
        }
        let local = recorded.local_endpoint.as_ref();
        let service = local.and_then(|endpoint| endpoint.service_name.as_deref());
        self.resource.clear();
        let is_named = push_resource(&tags.of_resource, service, &mut self.resource);
        gaps.service_not_recorded += u64::from(!is_named);
        let resource = match self.by_resource.get(&self.resource) {
            Some(&resource) => resource,
            None => {
                let resource = self.grouped.add(self.resource.clone());
                self.by_resource.insert(self.resource.clone(), resource);
                resource
            }
        };
        self.grouped.push(resource, tags.scope, &self.span);
        self.spans += 1;
    }
}

/// Overwrites `span` with ids, name, kind and times.
fn push_head(recorded: &RecordedSpan<'_>, ids: &Ids, kind: SpanKind, span: &mut Vec<u8>) {
    span.clear();
    bytes_field(field::SPAN_TRACE_ID, &ids.trace_id, span);
    bytes_field(field::SPAN_ID, &ids.span_id, span);
    if let Some(parent) = &ids.parent {
        bytes_field(field::SPAN_PARENT, parent, span);
    }
    let name = recorded.name.as_deref().unwrap_or_default();
    bytes_field(field::SPAN_NAME, name.as_bytes(), span);
    varint_field(field::SPAN_KIND, kind as u64, span);
    // Without a duration, the end is unknown. The pipeline rejects a span without an end, and counts it.
    let (start, end) = match (recorded.timestamp, recorded.duration) {
        (Some(start), Some(duration)) => (start, start.saturating_add(duration)),
        (start, _) => (start.unwrap_or(0), 0),
    };
    fixed64(field::SPAN_START, start.saturating_mul(US), span);
    fixed64(field::SPAN_END, end.saturating_mul(US), span);
}

/// What the tags of a span say besides its attributes.
#[derive(Default)]
struct OfTags<'t> {
    of_resource: Vec<(&'t str, &'t str)>,
    /// Name and version.
    scope: (&'t str, &'t str),
    /// Whether they state the port of a peer.
    has_port: bool,
}

/// Appends attributes, trace state and status of a span.
fn push_tags<'t>(tags: Option<&'t Tags<'_>>, span: &mut Vec<u8>) -> OfTags<'t> {
    let mut found = OfTags::default();
    let (mut code, mut error) = (None, None);
    for (key, value) in tags.into_iter().flat_map(|tags| &tags.0) {
        let (key, value) = (&**key, &**value);
        match key {
            "otel.status_code" => code = Some(value),
            "otel.scope.name" | "otel.library.name" => found.scope.0 = value,
            "otel.scope.version" | "otel.library.version" => found.scope.1 = value,
            "w3c.tracestate" => bytes_field(field::SPAN_TRACE_STATE, value.as_bytes(), span),
            // This tag marks a failed span. Its value is the error message.
            "error" => error = Some(value),
            _ if RESOURCE_TAGS.iter().any(|start| key.starts_with(start)) => {
                found.of_resource.push((key, value));
            }
            _ => {
                found.has_port |= matches!(key, "server.port" | "net.peer.port");
                text_attribute(field::SPAN_ATTRIBUTES, key, value.as_bytes(), span);
            }
        }
    }
    // Instrumentations that are not Zipkin's own write false for success.
    let has_error = error.is_some_and(|error| error != "false");
    push_status(code, error, has_error, span);
    found
}

/// Appends the attributes of a resource in the order of their names. If no tag names the service, `service` does, which is the
/// name in the span's endpoint. Returns whether the service has a name.
fn push_resource(tags: &[(&str, &str)], service: Option<&str>, out: &mut Vec<u8>) -> bool {
    const SERVICE: &str = "service.name";
    let is_tagged = tags.iter().any(|(key, _)| *key == SERVICE);
    let service = service.filter(|service| !service.is_empty() && !is_tagged);
    let before = tags.partition_point(|(key, _)| *key < SERVICE);
    let own = service.map(|service| (SERVICE, service));
    let (first, last) = tags.split_at(before);
    for (key, value) in first.iter().copied().chain(own).chain(last.iter().copied()) {
        text_attribute(field::RESOURCE_ATTRIBUTES, key, value.as_bytes(), out);
    }
    is_tagged || service.is_some()
}

/// Appends the receiver of a call. The attributes have those names that the normalizer tries last. So if the span also has a tag
/// about the receiver, the normalizer takes the tag.
fn push_peer(endpoint: &Endpoint<'_>, has_port: bool, span: &mut Vec<u8>) {
    let names = [&endpoint.service_name, &endpoint.ipv4, &endpoint.ipv6];
    let name = names.into_iter().flatten().find(|name| !name.is_empty());
    if let Some(name) = name {
        text_attribute(field::SPAN_ATTRIBUTES, "net.peer.ip", name.as_bytes(), span);
    }
    if let (Some(port), false) = (endpoint.port, has_port) {
        text_attribute(
            field::SPAN_ATTRIBUTES,
            "net.peer.port",
            port.to_string().as_bytes(),
            span,
        );
    }
}

/// Appends the content of an event.
fn push_event(annotation: &Annotation<'_>, out: &mut Vec<u8>) {
    fixed64(field::EVENT_TIME, annotation.timestamp.saturating_mul(US), out);
    let Some((name, attributes)) = named_event(&annotation.value) else {
        return bytes_field(field::EVENT_NAME, annotation.value.as_bytes(), out);
    };
    bytes_field(field::EVENT_NAME, name.as_bytes(), out);
    for (key, value) in &attributes {
        match value.as_str() {
            Some(text) => text_attribute(field::EVENT_ATTRIBUTES, key, text.as_bytes(), out),
            None => text_attribute(field::EVENT_ATTRIBUTES, key, value.to_string().as_bytes(), out),
        }
    }
}

type Attributes = serde_json::Map<String, serde_json::Value>;

/// An event with attributes. Exporters of OpenTelemetry write it into an annotation as `"name": {attributes}`, some with braces
/// around the whole text.
fn named_event(annotation: &str) -> Option<(String, Attributes)> {
    let mut named: BTreeMap<String, Attributes> = match annotation.as_bytes().first()? {
        b'{' => serde_json::from_str(annotation).ok()?,
        b'"' => serde_json::from_str(&format!("{{{annotation}}}")).ok()?,
        _ => return None,
    };
    named.pop_first().filter(|_| named.is_empty())
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
