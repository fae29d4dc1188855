//! Views of an ExportTraceServiceRequest: resource spans and scope spans. [`Span`] is the view of a single span.

use super::common::{InstrumentationScope, Messages, Pieces, Resource};
pub use super::span::{Span, SpanKind, Status, StatusCode};
pub use super::span_parts::{Event, Link};
use super::usual::SpanMessage;
use super::wire::{Cursor, LENGTH_DELIMITED, View, WireError, key};

/// The bytes of an ExportTraceServiceRequest.
#[derive(Debug, Clone, Copy)]
pub struct TraceRequest<'a> {
    request: Cursor<'a>,
}

impl<'a> TraceRequest<'a> {
    /// Views these bytes without reading them.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        TraceRequest {
            request: Cursor::new(bytes),
        }
    }

    /// Iterates over the resources.
    #[inline]
    pub fn resource_spans(&self) -> Messages<'a, ResourceSpans<'a>> {
        Messages::new(self.request, 1)
    }
}

/// The spans of one resource.
#[derive(Debug, Clone, Copy)]
pub struct ResourceSpans<'a> {
    /// The source of the spans.
    pub resource: Resource<'a>,
    /// Schema of the resource's attributes; empty if unknown.
    pub schema_url: &'a str,
    message: Cursor<'a>,
}

impl<'a> ResourceSpans<'a> {
    /// Iterates over the scopes.
    #[inline]
    pub fn scope_spans(&self) -> Messages<'a, ScopeSpans<'a>> {
        Messages::new(self.message, 2)
    }
}

impl<'a> View<'a> for ResourceSpans<'a> {
    fn parse(message: Cursor<'a>) -> Result<Self, WireError> {
        const RESOURCE: u32 = key(1, LENGTH_DELIMITED);
        const SCHEMA_URL: u32 = key(3, LENGTH_DELIMITED);

        let mut pieces = Pieces::NONE;
        let mut schema_url = "";
        let mut cursor = message;
        while !cursor.is_empty() {
            match cursor.key()? {
                RESOURCE => {
                    let piece = cursor.message()?;
                    pieces.push(piece, cursor);
                }
                SCHEMA_URL => schema_url = cursor.string()?,
                other => cursor.skip(other)?,
            }
        }
        Ok(ResourceSpans {
            resource: Resource::new(pieces),
            schema_url,
            message,
        })
    }
}

/// The spans of one instrumentation scope.
#[derive(Debug, Clone, Copy)]
pub struct ScopeSpans<'a> {
    /// The library that created the spans.
    pub scope: InstrumentationScope<'a>,
    /// Schema of the spans' attributes; empty if unknown.
    pub schema_url: &'a str,
    message: Cursor<'a>,
}

impl<'a> ScopeSpans<'a> {
    /// The spans.
    #[inline]
    pub fn spans(&self) -> Messages<'a, Span<'a>> {
        Messages::new(self.message, 2)
    }

    /// Passes the bytes of each span to `take` until it fails.
    #[inline]
    pub fn try_for_each_message(
        &self,
        mut take: impl FnMut(SpanMessage<'a>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        self.span_messages()
            .try_for_each(|message| take(SpanMessage(message?)))
    }

    /// The bytes of each span, not parsed.
    #[inline]
    pub(super) fn span_messages(&self) -> Messages<'a, Cursor<'a>> {
        Messages::new(self.message, 2)
    }
}

impl<'a> View<'a> for ScopeSpans<'a> {
    fn parse(message: Cursor<'a>) -> Result<Self, WireError> {
        const SCOPE: u32 = key(1, LENGTH_DELIMITED);
        const SPANS: u32 = key(2, LENGTH_DELIMITED);
        const SCHEMA_URL: u32 = key(3, LENGTH_DELIMITED);

        let mut scope = InstrumentationScope::NONE;
        let mut schema_url = "";
        let mut cursor = message;
        while !cursor.is_empty() {
            match cursor.key()? {
                SCOPE => {
                    let piece = cursor.message()?;
                    scope.merge(piece, cursor)?;
                }
                SCHEMA_URL => schema_url = cursor.string()?,
                other => cursor.skip(other)?,
            }
            cursor.skip_messages(SPANS);
        }
        Ok(ScopeSpans {
            scope,
            schema_url,
            message,
        })
    }
}
