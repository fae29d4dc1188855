//! The structural check of a whole request: whether a protobuf decoder would accept every message in it.
//!
//! It accepts and refuses exactly what prost does; a differential property test checks this. There is one exception: it also
//! refuses [`WireErrorKind::MessageInPieces`], which means that the value of an attribute, the list in a value, or the data of
//! a metric occurs twice in its parent.

use super::common::KeyValue;
use super::schema::{self, Field, Message};
use super::wire::{
    Cursor, FIXED32, FIXED64, LENGTH_DELIMITED, NESTING_MAX, VARINT, WireError, WireErrorKind,
};

/// Checks an ExportTraceServiceRequest.
pub fn check_trace_request(bytes: &[u8]) -> Result<(), WireError> {
    check(Cursor::new(bytes), &schema::TRACE_REQUEST, NESTING_MAX)
}

/// Checks an ExportMetricsServiceRequest.
pub fn check_metrics_request(bytes: &[u8]) -> Result<(), WireError> {
    check(Cursor::new(bytes), &schema::METRICS_REQUEST, NESTING_MAX)
}

/// Checks an ExportLogsServiceRequest.
pub fn check_logs_request(bytes: &[u8]) -> Result<(), WireError> {
    check(Cursor::new(bytes), &schema::LOGS_REQUEST, NESTING_MAX)
}

/// Checks a trace request except for the content of its spans.
pub(super) fn check_trace_envelope(bytes: &[u8]) -> Result<(), WireError> {
    check(Cursor::new(bytes), &schema::TRACE_ENVELOPE, NESTING_MAX)
}

/// Levels of nesting that are allowed for a resource. The request and its resource spans are around it.
const RESOURCE_LEVELS: u32 = NESTING_MAX - 1;
/// Levels for a scope, which is inside of scope spans as well.
const SCOPE_LEVELS: u32 = NESTING_MAX - 2;

/// The check of the messages around spans, for a walk that finds them itself.
pub(super) mod envelope {
    use super::*;

    pub(in super::super) fn resource(resource: Cursor<'_>) -> Result<(), WireError> {
        check_inner(resource, &schema::RESOURCE, RESOURCE_LEVELS)
    }

    pub(in super::super) fn scope(scope: Cursor<'_>) -> Result<(), WireError> {
        check_inner(scope, &schema::INSTRUMENTATION_SCOPE, SCOPE_LEVELS)
    }
}

/// Levels of nesting that are allowed inside of a span. The request, its resource spans and scope spans are around it.
const SPAN_LEVELS: u32 = NESTING_MAX - 3;

/// The check of one span, for a pass that also reads the span.
pub(super) mod span {
    use super::*;

    #[inline]
    pub(in super::super) fn attribute(attribute: Cursor<'_>) -> Result<(), WireError> {
        check_inner(attribute, &schema::KEY_VALUE, SPAN_LEVELS)
    }

    pub(in super::super) fn link(link: Cursor<'_>) -> Result<(), WireError> {
        check_inner(link, &schema::LINK, SPAN_LEVELS)
    }

    #[inline]
    pub(in super::super) fn status(status: Cursor<'_>) -> Result<(), WireError> {
        if status.is_empty() {
            Ok(())
        } else {
            check_inner(status, &schema::STATUS, SPAN_LEVELS)
        }
    }

    /// Returns the cursor after the field whose key was read last.
    #[inline(never)]
    pub(in super::super) fn field(mut cursor: Cursor<'_>, key: Key) -> Result<Cursor<'_>, WireError> {
        check_field(&mut cursor, key, &schema::SPAN, SPAN_LEVELS, &mut 0)?;
        Ok(cursor)
    }
}

/// A key that was read, and its offset in the request.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) key: u32,
    pub(super) offset: usize,
}

/// Checks the rest of a message. `levels` further levels of nesting are allowed.
fn check(mut cursor: Cursor<'_>, message: &'static Message, levels: u32) -> Result<(), WireError> {
    let mut seen = 0u32;
    while !cursor.is_empty() {
        let offset = cursor.position();
        let key = cursor.key()?;
        check_field(&mut cursor, Key { key, offset }, message, levels, &mut seen)?;
    }
    Ok(())
}

/// Checks the value of a field whose key was read last. `seen` has a bit for each field that may occur only once.
#[inline]
fn check_field(
    cursor: &mut Cursor<'_>,
    Key { key, offset }: Key,
    message: &'static Message,
    levels: u32,
    seen: &mut u32,
) -> Result<(), WireError> {
    let (number, wire_type) = (key >> 3, key & 7);
    match (message.field(number), wire_type) {
        (Field::String, LENGTH_DELIMITED) => drop(cursor.string()?),
        (Field::Bytes, LENGTH_DELIMITED) => drop(cursor.message()?),
        (Field::Attribute, LENGTH_DELIMITED) => check_attribute(cursor.message()?, levels)?,
        (Field::Message(inner), LENGTH_DELIMITED) => check_inner(cursor.message()?, inner, levels)?,
        (Field::MessageOnce(inner), LENGTH_DELIMITED) => {
            if *seen & (1 << number) != 0 {
                return Err(WireError {
                    offset,
                    kind: WireErrorKind::MessageInPieces,
                });
            }
            *seen |= 1 << number;
            check_inner(cursor.message()?, inner, levels)?;
        }
        (Field::Varint | Field::VarintList, VARINT) => drop(cursor.varint()?),
        (Field::Fixed64 | Field::Fixed64List, FIXED64) => drop(cursor.fixed64()?),
        (Field::Fixed32, FIXED32) => drop(cursor.fixed32()?),
        (Field::VarintList, LENGTH_DELIMITED) => {
            let mut list = cursor.message()?;
            while !list.is_empty() {
                list.varint()?;
            }
        }
        (Field::Fixed64List, LENGTH_DELIMITED) => {
            let list = cursor.message()?;
            if list.rest().len() % size_of::<u64>() != 0 {
                return Err(list.error(WireErrorKind::Truncated));
            }
        }
        (Field::Unknown, _) => cursor.skip_within(key, levels)?,
        _ => {
            return Err(WireError {
                offset,
                kind: WireErrorKind::WrongWireType,
            });
        }
    }
    Ok(())
}

#[inline]
fn check_inner(inside: Cursor<'_>, message: &'static Message, levels: u32) -> Result<(), WireError> {
    if levels == 0 {
        return Err(inside.error(WireErrorKind::NestedTooDeep));
    }
    check(inside, message, levels - 1)
}

#[inline]
fn check_attribute(attribute: Cursor<'_>, levels: u32) -> Result<(), WireError> {
    /// The pair, and its value.
    const LEVELS: u32 = 2;
    if levels >= LEVELS && KeyValue::usual_key(attribute).is_some() {
        return Ok(());
    }
    check_inner(attribute, &schema::KEY_VALUE, levels)
}
