//! Span and trace ids: random, except that a request may bring its trace id without a parent span.

use std::cell::Cell;
use std::sync::LazyLock;

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

/// A context with nothing in it, whatever the thread's current context is.
pub static EMPTY_CONTEXT: LazyLock<Context> = LazyLock::new(Context::new);

thread_local! {
    static GIVEN_TRACE_ID: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Makes the next root span of this thread, started within `start`, belong to the given trace.
pub fn with_trace_id<R>(trace_id: Option<TraceId>, start: impl FnOnce() -> R) -> R {
    GIVEN_TRACE_ID.set(trace_id);
    let result = start();
    GIVEN_TRACE_ID.set(None);
    result
}

/// The SDK's generator, with the exception of [`with_trace_id`].
#[derive(Debug, Default)]
pub struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        GIVEN_TRACE_ID.take().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}
