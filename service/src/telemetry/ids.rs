//! Span and trace ids: random, except that a request may have a trace id without a parent span.

use std::cell::Cell;
use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

/// An empty context, independent of the thread's current one.
pub static EMPTY_CONTEXT: LazyLock<Context> = LazyLock::new(Context::new);

thread_local! {
    static REQUESTED_TRACE_ID: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Sets the trace id of the root span that `start` creates on this thread.
pub fn with_trace_id<R>(trace_id: Option<TraceId>, start: impl FnOnce() -> R) -> R {
    REQUESTED_TRACE_ID.set(trace_id);
    let result = start();
    REQUESTED_TRACE_ID.set(None);
    result
}

/// The SDK's generator, except within [`with_trace_id`].
#[derive(Debug, Default)]
pub struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        REQUESTED_TRACE_ID.take().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}
