//! [`Grouped`]: encoded spans by resource and scope, until they are a request of OTLP.

use bytes::Bytes;

use crate::protobuf::{bytes_field, field};

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
        bytes_field(field::ITEM, span, &mut scopes[index].spans);
    }

    /// The request of all spans. None are left afterwards.
    pub fn take_request(&mut self) -> Bytes {
        let (mut out, mut of_resource, mut of_scope, mut scope_bytes) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for resource in self.0.drain(..) {
            of_resource.clear();
            bytes_field(field::RESOURCE, &resource.attributes, &mut of_resource);
            for scope in &resource.scopes {
                of_scope.clear();
                if !scope.name.is_empty() {
                    scope_bytes.clear();
                    bytes_field(field::SCOPE_NAME, scope.name.as_bytes(), &mut scope_bytes);
                    bytes_field(field::SCOPE_VERSION, scope.version.as_bytes(), &mut scope_bytes);
                    bytes_field(field::SCOPE, &scope_bytes, &mut of_scope);
                }
                of_scope.extend_from_slice(&scope.spans);
                bytes_field(field::SCOPE_DATA, &of_scope, &mut of_resource);
            }
            bytes_field(field::RESOURCE_DATA, &of_resource, &mut out);
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
