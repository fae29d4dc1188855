//! Spans within a request: they go through `tracing`, and hang below the request's SERVER span.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Their instrumentation scope in OTLP.
pub const SCOPE: &str = "tunable-svc.inner";
/// Target of the `tracing` spans that are exported; those of libraries are not.
pub const TARGET: &str = "tunable_svc::inner";

/// What inner spans are children of; nothing if the request is not recorded.
#[derive(Debug, Clone)]
pub struct Parent(Option<Context>);

impl Parent {
    /// The parent in a request that is not recorded.
    pub fn none() -> Self {
        Self(None)
    }

    /// The SERVER span as a parent. It is of this process, so it is not marked as remote.
    pub fn of(span: &SpanContext) -> Self {
        Self(Some(Context::new().with_remote_span_context(span.clone())))
    }

    /// A child span, made only if it will be recorded.
    pub fn child(&self, make: impl FnOnce() -> tracing::Span) -> tracing::Span {
        let Some(parent) = &self.0 else {
            return tracing::Span::none();
        };
        let span = make();
        // Fails only where no exporter is installed, and then nobody misses the parent.
        let _ = span.set_parent(parent.clone());
        span
    }
}

/// The span's identity as the next hop has to know it; none if it is not recorded.
pub fn span_context(span: &tracing::Span) -> Option<SpanContext> {
    if span.is_none() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    Some(span.span_context().clone()).filter(SpanContext::is_valid)
}
