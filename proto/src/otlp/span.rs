//! [`Span`]: the view of one span, parsed in one pass.

use std::ops::Range;

use super::check::Key;
use super::common::{Attributes, Messages};
use super::span_parts::{Event, Link};
use super::wire::{Cursor, FIXED32, FIXED64, LENGTH_DELIMITED, VARINT, View, WireError, key};

/// Kind of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpanKind {
    /// Missing or unknown.
    Unspecified,
    /// Work inside of an application.
    Internal,
    /// A request that is answered.
    Server,
    /// A request that is sent.
    Client,
    /// A message that is sent.
    Producer,
    /// A message that is received.
    Consumer,
}

impl SpanKind {
    #[inline]
    fn from_wire(value: u64) -> Self {
        // An enum is an int32 on the wire. Like prost, this ignores the upper half of the varint.
        match value as u32 {
            1 => SpanKind::Internal,
            2 => SpanKind::Server,
            3 => SpanKind::Client,
            4 => SpanKind::Producer,
            5 => SpanKind::Consumer,
            _ => SpanKind::Unspecified,
        }
    }
}

/// Whether the work succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatusCode {
    /// The status is missing or unknown.
    Unset,
    /// The operation succeeded, as set explicitly by the application.
    Ok,
    /// The operation failed.
    Error,
}

/// Status of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status<'a> {
    /// Whether the work succeeded.
    pub code: StatusCode,
    /// Error message; empty if missing.
    pub message: &'a str,
}

impl<'a> Status<'a> {
    #[inline]
    fn merge(&mut self, mut piece: Cursor<'a>) -> Result<(), WireError> {
        const MESSAGE: u32 = key(2, LENGTH_DELIMITED);
        const CODE: u32 = key(3, VARINT);

        while !piece.is_empty() {
            match piece.key()? {
                MESSAGE => self.message = piece.string()?,
                CODE => {
                    self.code = match piece.varint()? as u32 {
                        1 => StatusCode::Ok,
                        2 => StatusCode::Error,
                        _ => StatusCode::Unset,
                    }
                }
                other => piece.skip(other)?,
            }
        }
        Ok(())
    }
}

/// One span. Missing fields have the defaults of protobuf: zero or empty.
#[derive(Debug, Clone, Copy)]
pub struct Span<'a> {
    /// 16 bytes, if it is valid.
    pub trace_id: &'a [u8],
    /// 8 bytes, if it is valid.
    pub span_id: &'a [u8],
    /// 8 bytes, or empty for a root. All zero also means a root.
    pub parent_span_id: &'a [u8],
    /// W3C tracestate.
    pub trace_state: &'a str,
    pub name: &'a str,
    pub kind: SpanKind,
    /// Nanoseconds since the Unix epoch.
    pub start_time_unix_nano: u64,
    /// Nanoseconds since the Unix epoch.
    pub end_time_unix_nano: u64,
    /// Number of attributes that the SDK dropped.
    pub dropped_attributes_count: u32,
    /// Number of links that the SDK dropped.
    pub dropped_links_count: u32,
    /// Whether the work succeeded.
    pub status: Status<'a>,
    /// Low byte: W3C trace flags. Bit 8: bit 9 is valid. Bit 9: the parent is remote.
    pub flags: u32,
    pub(super) attributes: Cursor<'a>,
    /// The range from the first event or link to the end of the last one. Most spans have neither.
    pub(super) events_and_links: Cursor<'a>,
}

impl<'a> Span<'a> {
    pub(super) const NONE: Span<'static> = Span {
        trace_id: &[],
        span_id: &[],
        parent_span_id: &[],
        trace_state: "",
        name: "",
        kind: SpanKind::Unspecified,
        start_time_unix_nano: 0,
        end_time_unix_nano: 0,
        dropped_attributes_count: 0,
        dropped_links_count: 0,
        status: Status {
            code: StatusCode::Unset,
            message: "",
        },
        flags: 0,
        attributes: Cursor::EMPTY,
        events_and_links: Cursor::EMPTY,
    };

    #[inline]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.attributes, ATTRIBUTES_FIELD)
    }

    #[inline]
    pub fn links(&self) -> Messages<'a, Link<'a>> {
        Messages::new(self.events_and_links, LINKS_FIELD)
    }

    #[inline]
    pub fn events(&self) -> Messages<'a, Event<'a>> {
        Messages::new(self.events_and_links, EVENTS_FIELD)
    }

    /// Whether the parent is in another process; `None` if the flags do not report it.
    #[inline]
    pub fn parent_is_remote(&self) -> Option<bool> {
        const IS_TOLD: u32 = 0x100;
        const IS_REMOTE: u32 = 0x200;
        (self.flags & IS_TOLD != 0).then_some(self.flags & IS_REMOTE != 0)
    }
}

const ATTRIBUTES_FIELD: u32 = 9;
const EVENTS_FIELD: u32 = 11;
const LINKS_FIELD: u32 = 13;

const TRACE_ID: u32 = key(1, LENGTH_DELIMITED);
const SPAN_ID: u32 = key(2, LENGTH_DELIMITED);
const TRACE_STATE: u32 = key(3, LENGTH_DELIMITED);
const PARENT_SPAN_ID: u32 = key(4, LENGTH_DELIMITED);
const NAME: u32 = key(5, LENGTH_DELIMITED);
const KIND: u32 = key(6, VARINT);
const START_TIME: u32 = key(7, FIXED64);
const END_TIME: u32 = key(8, FIXED64);
const ATTRIBUTES: u32 = key(ATTRIBUTES_FIELD, LENGTH_DELIMITED);
const DROPPED_ATTRIBUTES_COUNT: u32 = key(10, VARINT);
const EVENTS: u32 = key(EVENTS_FIELD, LENGTH_DELIMITED);
const LINKS: u32 = key(LINKS_FIELD, LENGTH_DELIMITED);
const DROPPED_LINKS_COUNT: u32 = key(14, VARINT);
const STATUS: u32 = key(15, LENGTH_DELIMITED);
const FLAGS: u32 = key(16, FIXED32);

/// Visits the parts of a span that [`Span`] does not store, or stores only as bytes.
pub(super) trait SpanPass<'a> {
    fn attribute(&mut self, attribute: Cursor<'a>) -> Result<(), WireError>;
    fn link(&mut self, link: Cursor<'a>) -> Result<(), WireError>;
    fn status(&mut self, status: Cursor<'a>) -> Result<(), WireError>;
    /// Any other field. Its key was read last.
    fn other(&mut self, span: &mut Cursor<'a>, key: Key) -> Result<(), WireError>;
}

/// Skips these parts of the span.
struct Reading;

impl<'a> SpanPass<'a> for Reading {
    #[inline]
    fn attribute(&mut self, _: Cursor<'a>) -> Result<(), WireError> {
        Ok(())
    }

    #[inline]
    fn link(&mut self, _: Cursor<'a>) -> Result<(), WireError> {
        Ok(())
    }

    #[inline]
    fn status(&mut self, _: Cursor<'a>) -> Result<(), WireError> {
        Ok(())
    }

    #[inline]
    fn other(&mut self, span: &mut Cursor<'a>, key: Key) -> Result<(), WireError> {
        span.skip(key.key)
    }
}

impl<'a> View<'a> for Span<'a> {
    #[inline]
    fn parse(message: Cursor<'a>) -> Result<Self, WireError> {
        Span::parse_with(message, &mut Reading)
    }
}

impl<'a> Span<'a> {
    /// Reads the fields before the attributes, as long as they are in the order of their numbers, as encoders write them. In
    /// this order, no dispatch is needed, which the processor could mispredict.
    #[inline]
    fn read_in_order(&mut self, message: &mut Cursor<'a>) -> Result<(), WireError> {
        if message.take_key(TRACE_ID) {
            self.trace_id = message.bytes()?;
        }
        if message.take_key(SPAN_ID) {
            self.span_id = message.bytes()?;
        }
        if message.take_key(TRACE_STATE) {
            self.trace_state = message.string()?;
        }
        if message.take_key(PARENT_SPAN_ID) {
            self.parent_span_id = message.bytes()?;
        }
        if message.take_key(NAME) {
            self.name = message.string()?;
        }
        if message.take_key(KIND) {
            self.kind = SpanKind::from_wire(message.varint()?);
        }
        if message.take_key(START_TIME) {
            self.start_time_unix_nano = message.fixed64()?;
        }
        if message.take_key(END_TIME) {
            self.end_time_unix_nano = message.fixed64()?;
        }
        Ok(())
    }

    #[inline]
    pub(super) fn parse_with(
        mut message: Cursor<'a>,
        pass: &mut impl SpanPass<'a>,
    ) -> Result<Self, WireError> {
        let mut span = Span::NONE;
        span.read_in_order(&mut message)?;
        let mut attributes = message.position()..message.position();
        while message.take_key(ATTRIBUTES) {
            let attribute = match message.short_message() {
                Some(attribute) => attribute,
                None => message.message()?,
            };
            pass.attribute(attribute)?;
            attributes.end = message.position();
        }
        let mut events_and_links = 0..0;
        while !message.is_empty() {
            let offset = message.position();
            match message.key()? {
                TRACE_ID => span.trace_id = message.bytes()?,
                SPAN_ID => span.span_id = message.bytes()?,
                TRACE_STATE => span.trace_state = message.string()?,
                PARENT_SPAN_ID => span.parent_span_id = message.bytes()?,
                NAME => span.name = message.string()?,
                KIND => span.kind = SpanKind::from_wire(message.varint()?),
                START_TIME => span.start_time_unix_nano = message.fixed64()?,
                END_TIME => span.end_time_unix_nano = message.fixed64()?,
                ATTRIBUTES => {
                    pass.attribute(message.message()?)?;
                    attributes.end = message.position();
                }
                DROPPED_ATTRIBUTES_COUNT => span.dropped_attributes_count = message.varint()? as u32,
                LINKS => {
                    pass.link(message.message()?)?;
                    extend(&mut events_and_links, offset..message.position());
                }
                DROPPED_LINKS_COUNT => span.dropped_links_count = message.varint()? as u32,
                STATUS => {
                    let status = message.message()?;
                    pass.status(status)?;
                    span.status.merge(status)?;
                }
                FLAGS => span.flags = message.fixed32()?,
                key => {
                    pass.other(&mut message, Key { key, offset })?;
                    if key == EVENTS {
                        extend(&mut events_and_links, offset..message.position());
                    }
                }
            }
        }
        span.attributes = message.range(attributes);
        span.events_and_links = message.range(events_and_links);
        Ok(span)
    }
}

#[inline]
fn extend(range: &mut Range<usize>, field: Range<usize>) {
    if range.start == range.end {
        range.start = field.start;
    }
    range.end = field.end;
}
