//! Spans within a request: created by `tracing`, as children of the request's SERVER span.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Instrumentation scope of these spans.
pub const SCOPE: &str = "tunable-svc.inner";
/// Target of exported `tracing` spans. Spans of libraries have other targets and are not exported.
pub const TARGET: &str = "tunable_svc::inner";

/// The parent of inner spans; empty if the request is not recorded.
#[derive(Debug, Clone)]
pub struct Parent(Option<Context>);

impl Parent {
    /// The parent within an unrecorded request.
    pub fn none() -> Self {
        Self(None)
    }

    /// The SERVER span as the parent. The exported flag `is_remote` stays false, because the span belongs to this process.
    pub fn from_span(span: &SpanContext) -> Self {
        Self(Some(Context::new().with_remote_span_context(span.clone())))
    }

    /// A child span. `make` is called only if the span will be recorded.
    pub fn child(&self, make: impl FnOnce() -> tracing::Span) -> tracing::Span {
        let Some(parent) = &self.0 else {
            return tracing::Span::none();
        };
        let span = make();
        // Fails only without an exporter, when the parent is not needed.
        let _ = span.set_parent(parent.clone());
        span
    }
}

/// The span's context for the next hop; none if it is not recorded.
pub fn span_context(span: &tracing::Span) -> Option<SpanContext> {
    if span.is_none() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    Some(span.span_context().clone()).filter(SpanContext::is_valid)
}
