//! [`Grouped`]: encoded spans by resource and scope, until they are a request of OTLP.

use bytes::Bytes;

use crate::protobuf::bytes_field;

/// Field numbers of the messages around a span.
const RESOURCE_SPANS: u32 = 1;
const RESOURCE: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const SCOPE: u32 = 1;
const SPAN: u32 = 2;
/// Field numbers of a scope.
const NAME: u32 = 1;
const VERSION: u32 = 2;

/// Field number of the attributes of a resource.
pub const OF_RESOURCE: u32 = 1;
/// Field number of the attributes of a span, and of an event.
pub const OF_SPAN: u32 = 9;
pub const OF_EVENT: u32 = 3;

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

    /// Adds an encoded span. A scope without a name is none, whatever its version.
    pub fn push(&mut self, resource: usize, (name, version): (&str, &str), span: &[u8]) {
        let scopes = &mut self.0[resource].scopes;
        let version = if name.is_empty() { "" } else { version };
        let is_it = |scope: &Scope| scope.name == name && scope.version == version;
        let index = scopes.iter().position(is_it).unwrap_or_else(|| {
            scopes.push(Scope {
                name: name.to_owned(),
                version: version.to_owned(),
                spans: Vec::new(),
            });
            scopes.len() - 1
        });
        bytes_field(SPAN, span, &mut scopes[index].spans);
    }

    /// The request of all spans. It has none afterwards.
    pub fn take_request(&mut self) -> Bytes {
        let (mut out, mut of_resource, mut of_scope, mut scope_bytes) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for resource in self.0.drain(..) {
            of_resource.clear();
            bytes_field(RESOURCE, &resource.attributes, &mut of_resource);
            for scope in &resource.scopes {
                of_scope.clear();
                if !scope.name.is_empty() {
                    scope_bytes.clear();
                    bytes_field(NAME, scope.name.as_bytes(), &mut scope_bytes);
                    bytes_field(VERSION, scope.version.as_bytes(), &mut scope_bytes);
                    bytes_field(SCOPE, &scope_bytes, &mut of_scope);
                }
                of_scope.extend_from_slice(&scope.spans);
                bytes_field(SCOPE_SPANS, &of_scope, &mut of_resource);
            }
            bytes_field(RESOURCE_SPANS, &of_resource, &mut out);
        }
        out.into()
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
        text_attribute(OF_RESOURCE, "service.name", b"front", &mut attributes);
        let (front, other) = (grouped.add(attributes), grouped.add(Vec::new()));
        let mut span = Vec::new();
        bytes_field(5, b"work", &mut span);
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
