//! [`Grouped`]: collects encoded spans by resource and scope, and makes a request of OTLP from them.

use bytes::Bytes;

use crate::protobuf::{begin_field, bytes_field, field, field_len};

/// A new scope reserves memory for this many spans of the size of its first span.
const SPANS_ROOM: usize = 4;

#[derive(Debug, Default)]
pub struct Grouped(Vec<Resource>);

/// A resource with its spans.
#[derive(Debug, Default)]
struct Resource {
    /// The encoded attributes.
    attributes: Vec<u8>,
    scopes: Vec<Scope>,
}

/// An instrumentation scope with its encoded spans. Spans without a scope have one without a name.
#[derive(Debug, Default)]
struct Scope {
    name: String,
    version: String,
    spans: Vec<u8>,
}

impl Grouped {
    /// Adds a resource by its encoded attributes, and returns its number.
    pub fn add(&mut self, attributes: Vec<u8>) -> usize {
        self.0.push(Resource {
            attributes,
            scopes: Vec::new(),
        });
        self.0.len() - 1
    }

    /// Adds an encoded span. If its scope has no name, the span counts as one without a scope, whatever the version.
    pub fn push(&mut self, resource: usize, (name, version): (&str, &str), span: &[u8]) {
        let scopes = &mut self.0[resource].scopes;
        let version = if name.is_empty() { "" } else { version };
        let is_it = |scope: &Scope| scope.name == name && scope.version == version;
        let index = scopes.iter().position(is_it).unwrap_or_else(|| {
            scopes.push(Scope {
                name: name.to_owned(),
                version: version.to_owned(),
                spans: Vec::with_capacity(SPANS_ROOM * span.len()),
            });
            scopes.len() - 1
        });
        bytes_field(field::ITEM, span, &mut scopes[index].spans);
    }

    /// The request of all spans. None are left afterwards.
    pub fn take_request(&mut self) -> Bytes {
        let mut out = Vec::with_capacity(self.0.iter().map(|resource| field_len(resource.len())).sum());
        for resource in self.0.drain(..) {
            begin_field(field::RESOURCE_DATA, resource.len(), &mut out);
            bytes_field(field::RESOURCE, &resource.attributes, &mut out);
            for scope in &resource.scopes {
                begin_field(field::SCOPE_DATA, scope.len(), &mut out);
                if let Some(length) = scope.name_len() {
                    begin_field(field::SCOPE, length, &mut out);
                    bytes_field(field::SCOPE_NAME, scope.name.as_bytes(), &mut out);
                    bytes_field(field::SCOPE_VERSION, scope.version.as_bytes(), &mut out);
                }
                out.extend_from_slice(&scope.spans);
            }
        }
        out.into()
    }
}

impl Resource {
    /// Length of its message.
    fn len(&self) -> usize {
        let scopes = self.scopes.iter().map(|scope| field_len(scope.len()));
        field_len(self.attributes.len()) + scopes.sum::<usize>()
    }
}

impl Scope {
    /// Length of its message.
    fn len(&self) -> usize {
        self.name_len().map_or(0, field_len) + self.spans.len()
    }

    /// Length of the message with name and version, if the scope has a name.
    fn name_len(&self) -> Option<usize> {
        (!self.name.is_empty()).then(|| field_len(self.name.len()) + field_len(self.version.len()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use prost::Message;

    use super::*;
    use crate::protobuf::text_attribute;

    #[test]
    fn spans_are_grouped_by_resource_and_scope() {
        let (mut grouped, mut attributes) = (Grouped::default(), Vec::new());
        text_attribute(
            field::RESOURCE_ATTRIBUTES,
            "service.name",
            b"front",
            &mut attributes,
        );
        let (front, other) = (grouped.add(attributes), grouped.add(Vec::new()));
        let mut span = Vec::new();
        bytes_field(field::SPAN_NAME, b"work", &mut span);
        for (resource, scope) in [
            (front, ("lib", "1")),
            (front, ("", "9")),
            (front, ("lib", "1")),
            (other, ("", "")),
        ] {
            grouped.push(resource, scope, &span);
        }
        let request = ExportTraceServiceRequest::decode(grouped.take_request()).unwrap();
        let of_front = &request.resource_spans[0];
        assert_eq!(
            of_front.resource.as_ref().unwrap().attributes[0].key,
            "service.name"
        );
        let found = of_front.scope_spans.iter().map(|scope| {
            let name = scope.scope.as_ref().map(|scope| scope.name.as_str());
            (name, scope.spans.len(), scope.spans[0].name.as_str())
        });
        let found: Vec<_> = found.collect();
        assert_eq!(found, [(Some("lib"), 2, "work"), (None, 1, "work")]);
        assert_eq!(request.resource_spans[1].scope_spans[0].spans.len(), 1);
        assert!(grouped.take_request().is_empty());
    }
}
