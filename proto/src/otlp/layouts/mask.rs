//! The mask of a layout: which bits of a checked span decide the result of the check, and which may have any value.

use crate::keys;
use crate::otlp::ascii::is_ascii;
use crate::otlp::schema::{self, Field, Message};
use crate::otlp::wire::{Cursor, FIXED32, FIXED64, LENGTH_DELIMITED, VARINT, VARINT_LEN_MAX, key};

/// Maximum nesting of messages in a span with a layout: attributes, values, lists, and their values.
const LEVELS_MAX: u32 = 6;

/// The bit that is set in a byte outside of ASCII, and in every byte of a varint except the last.
const HIGH_BIT: u8 = 0x80;
/// The last byte of a varint of [`VARINT_LEN_MAX`] bytes is 0 or 1. Otherwise it has more than 64 bits.
const LAST_OF_LONGEST: u8 = 0xfe;

/// Offsets of the values in a span that decide whether it can be used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub(super) trace_id: usize,
    pub(super) span_id: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The mask and the places of a usable span that has passed the check. `None` if the check could have
/// another answer for another span with the same layout, or if the span has a form that no known sender writes.
pub(super) fn mask_of(span: Cursor<'_>) -> Option<(Vec<u8>, Places)> {
    let places = places_of(span)?;
    let mut mask = vec![u8::MAX; span.rest().len()];
    open_message(span, &schema::SPAN, LEVELS_MAX, &mut mask)?;
    Some((mask, places))
}

/// The places of fields that must each occur once. If one occurred again, its last value would count.
fn places_of(mut span: Cursor<'_>) -> Option<Places> {
    const TRACE_ID: u32 = key(1, LENGTH_DELIMITED);
    const SPAN_ID: u32 = key(2, LENGTH_DELIMITED);
    const START: u32 = key(7, FIXED64);
    const END: u32 = key(8, FIXED64);

    let mut found = [None; 4];
    while !span.is_empty() {
        let (index, place) = match span.key().ok()? {
            TRACE_ID => (0, span.message().ok()?.position()),
            SPAN_ID => (1, span.message().ok()?.position()),
            START => (2, span.position()),
            END => (3, span.position()),
            other => {
                span.skip(other).ok()?;
                continue;
            }
        };
        if index >= 2 {
            span.fixed64().ok()?;
        }
        if found[index].replace(place).is_some() {
            return None;
        }
    }
    let [trace_id, span_id, start, end] = found;
    Some(Places {
        trace_id: trace_id?,
        span_id: span_id?,
        start: start?,
        end: end?,
    })
}

/// Whether a run id may be in this attribute. All bits of its value are then in the mask, because another run id may be invalid.
fn has_run_id(attribute: Cursor<'_>) -> bool {
    memchr::memmem::find(attribute.rest(), keys::RUN_ID.as_bytes()).is_some()
}

/// Removes from the mask all bits that do not affect the check of this message. Keys of fields, and all lengths, remain.
fn open_message(
    mut cursor: Cursor<'_>,
    message: &'static Message,
    levels: u32,
    mask: &mut [u8],
) -> Option<()> {
    let levels = levels.checked_sub(1)?;
    while !cursor.is_empty() {
        let field_key = cursor.key().ok()?;
        let begin = cursor.position();
        match (message.field(field_key >> 3), field_key & 7) {
            (Field::String, LENGTH_DELIMITED) => {
                let text = cursor.message().ok()?;
                if !is_ascii(text.rest()) {
                    return None;
                }
                // The key of an attribute remains, because it may be that of a run id.
                if !std::ptr::eq(message, &schema::KEY_VALUE) {
                    mask.get_mut(text.position()..cursor.position())?.fill(HIGH_BIT);
                }
            }
            (Field::Bytes, LENGTH_DELIMITED) => {
                let bytes = cursor.message().ok()?;
                mask.get_mut(bytes.position()..cursor.position())?.fill(0);
            }
            (Field::Attribute, LENGTH_DELIMITED) => {
                let attribute = cursor.message().ok()?;
                if !has_run_id(attribute) {
                    open_message(attribute, &schema::KEY_VALUE, levels, mask)?;
                }
            }
            (Field::Message(inner) | Field::MessageOnce(inner), LENGTH_DELIMITED) => {
                open_message(cursor.message().ok()?, inner, levels, mask)?;
            }
            (Field::Varint, VARINT) => {
                cursor.varint().ok()?;
                let varint = mask.get_mut(begin..cursor.position())?;
                varint.fill(HIGH_BIT);
                if let (VARINT_LEN_MAX, Some(last)) = (varint.len(), varint.last_mut()) {
                    *last = LAST_OF_LONGEST;
                }
            }
            (Field::Fixed64, FIXED64) => {
                cursor.fixed64().ok()?;
                mask.get_mut(begin..cursor.position())?.fill(0);
            }
            (Field::Fixed32, FIXED32) => {
                cursor.fixed32().ok()?;
                mask.get_mut(begin..cursor.position())?.fill(0);
            }
            _ => return None,
        }
    }
    Some(())
}
