//! [`links`]: the links of a span. They name spans that caused it, in addition to its parent.

use cctf_proto::cctf::{LINKS_MAX, SpanId, SpanLink, TraceId};
use cctf_proto::otlp::trace::Span;

/// The links of a span, and whether some are missing.
pub fn links(span: &Span<'_>) -> (Vec<SpanLink>, bool) {
    let mut valid = span.links().map_while(Result::ok).filter_map(|link| {
        Some(SpanLink {
            trace_id: TraceId::from_bytes(link.trace_id)?,
            span_id: SpanId::from_bytes(link.span_id)?,
        })
    });
    let links = valid.by_ref().take(LINKS_MAX).collect();
    (links, span.dropped_links_count > 0 || valid.next().is_some())
}

#[cfg(test)]
mod tests {
    use cctf_proto::otlp::trace::TraceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::span::Link;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Sent};
    use prost::Message;

    use super::*;

    /// Number of links that are kept of `count` links, and whether some are missing.
    fn kept(count: usize, dropped_links_count: u32) -> (usize, bool) {
        let link = Link {
            trace_id: vec![1; 16],
            span_id: vec![1; 8],
            ..Link::default()
        };
        let span = Sent {
            links: vec![link; count],
            dropped_links_count,
            ..Sent::default()
        };
        let scope_spans = vec![ScopeSpans {
            spans: vec![span],
            ..ScopeSpans::default()
        }];
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                scope_spans,
                ..ResourceSpans::default()
            }],
        };
        let bytes = request.encode_to_vec();
        let scopes = TraceRequest::new(&bytes).resource_spans().map_while(Result::ok);
        let mut found = Vec::new();
        for scope in scopes
            .flat_map(|of_resource| of_resource.scope_spans())
            .map_while(Result::ok)
        {
            for span in scope.spans() {
                let (links, has_more) = links(&span.unwrap());
                found.push((links.len(), has_more));
            }
        }
        assert_eq!(found.len(), 1);
        found[0]
    }

    #[test]
    fn links_past_the_bound_or_dropped_by_the_sdk_are_reported() {
        assert_eq!(kept(0, 0), (0, false));
        assert_eq!(kept(LINKS_MAX, 0), (LINKS_MAX, false));
        assert_eq!(kept(LINKS_MAX + 1, 0), (LINKS_MAX, true));
        assert_eq!(kept(2, 3), (2, true));
    }
}
