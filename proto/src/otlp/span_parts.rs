//! Views of a span's events and links.

use super::common::Attributes;
use super::wire::{Cursor, FIXED32, LENGTH_DELIMITED, View, WireError, key};

/// An event during a span.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Empty if missing.
    pub name: &'a str,
    message: Cursor<'a>,
}

impl<'a> Event<'a> {
    #[inline]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.message, 3)
    }
}

impl<'a> View<'a> for Event<'a> {
    fn parse(message: Cursor<'a>) -> Result<Self, WireError> {
        const NAME: u32 = key(2, LENGTH_DELIMITED);

        let (mut name, mut cursor) = ("", message);
        while !cursor.is_empty() {
            match cursor.key()? {
                NAME => name = cursor.string()?,
                other => cursor.skip(other)?,
            }
        }
        Ok(Event { name, message })
    }
}

/// A link to a span other than the parent.
#[derive(Debug, Clone, Copy)]
pub struct Link<'a> {
    /// 16 bytes, if it is valid.
    pub trace_id: &'a [u8],
    /// 8 bytes, if it is valid.
    pub span_id: &'a [u8],
    /// W3C tracestate.
    pub trace_state: &'a str,
    /// Like [`Span::flags`], for the linked span.
    pub flags: u32,
    message: Cursor<'a>,
}

impl<'a> Link<'a> {
    #[inline]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.message, 4)
    }
}

impl<'a> View<'a> for Link<'a> {
    fn parse(message: Cursor<'a>) -> Result<Self, WireError> {
        const TRACE_ID: u32 = key(1, LENGTH_DELIMITED);
        const SPAN_ID: u32 = key(2, LENGTH_DELIMITED);
        const TRACE_STATE: u32 = key(3, LENGTH_DELIMITED);
        const FLAGS: u32 = key(6, FIXED32);

        let mut link = Link {
            trace_id: &[],
            span_id: &[],
            trace_state: "",
            flags: 0,
            message,
        };
        let mut cursor = message;
        while !cursor.is_empty() {
            match cursor.key()? {
                TRACE_ID => link.trace_id = cursor.bytes()?,
                SPAN_ID => link.span_id = cursor.bytes()?,
                TRACE_STATE => link.trace_state = cursor.string()?,
                FLAGS => link.flags = cursor.fixed32()?,
                other => cursor.skip(other)?,
            }
        }
        Ok(link)
    }
}
