//! [`repair`]: copies a request and replaces bytes that are not UTF-8, which some SDKs send and Collectors pass on.
//!
//! Each unreadable sequence becomes U+FFFD. The count of dropped attributes of its span or resource is raised, so that the
//! rows get the flag `truncated`.

use super::schema::{self, Field, Message};
use super::wire::{Cursor, LENGTH_DELIMITED, NESTING_MAX, VARINT, WireError, WireErrorKind, key};

/// Type of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    Traces,
    Metrics,
    Logs,
}

/// The request with only valid texts. It is at most three times as long as `bytes`.
pub fn repair(request: Request, bytes: &[u8]) -> Result<Vec<u8>, WireError> {
    let message = match request {
        Request::Traces => &schema::TRACE_REQUEST,
        Request::Metrics => &schema::METRICS_REQUEST,
        Request::Logs => &schema::LOGS_REQUEST,
    };
    let mut out = Vec::with_capacity(bytes.len());
    rewrite(Cursor::new(bytes), message, NESTING_MAX, &mut out)?;
    Ok(out)
}

/// Field number of the count of dropped attributes, in messages whose losses are counted.
fn field_of_losses(message: &'static Message) -> Option<u32> {
    const OF_SPAN: u32 = 10;
    const OF_RESOURCE: u32 = 2;
    if std::ptr::eq(message, &schema::SPAN) {
        return Some(OF_SPAN);
    }
    std::ptr::eq(message, &schema::RESOURCE).then_some(OF_RESOURCE)
}

/// Appends the rest of a message. Returns true if a text in it was replaced.
fn rewrite(
    mut cursor: Cursor<'_>,
    message: &'static Message,
    levels: u32,
    out: &mut Vec<u8>,
) -> Result<bool, WireError> {
    let losses = field_of_losses(message);
    let (mut is_repaired, mut dropped) = (false, 0_u64);
    while !cursor.is_empty() {
        let start = cursor.position();
        let field_key = cursor.key()?;
        let (number, wire_type) = (field_key >> 3, field_key & 7);
        let inner = match (message.field(number), wire_type) {
            (Field::String, LENGTH_DELIMITED) => {
                let text = cursor.bytes()?;
                if std::str::from_utf8(text).is_err() {
                    is_repaired = true;
                    push_delimited(field_key, readable(text).as_bytes(), out);
                    continue;
                }
                None
            }
            (Field::Attribute, LENGTH_DELIMITED) => Some(&schema::KEY_VALUE),
            (Field::Message(inner) | Field::MessageOnce(inner), LENGTH_DELIMITED) => Some(inner),
            (Field::Varint, VARINT) if losses == Some(number) => {
                dropped = cursor.varint()?;
                None
            }
            _ => {
                cursor.skip_within(field_key, levels)?;
                None
            }
        };
        let Some(inner) = inner else {
            out.extend_from_slice(cursor.range(start..cursor.position()).rest());
            continue;
        };
        let body = cursor.message()?;
        if levels == 0 {
            return Err(body.error(WireErrorKind::NestedTooDeep));
        }
        let mut rewritten = Vec::with_capacity(body.rest().len());
        is_repaired |= rewrite(body, inner, levels - 1, &mut rewritten)?;
        push_delimited(field_key, &rewritten, out);
    }
    if let Some(number) = losses.filter(|_| is_repaired) {
        push_varint(u64::from(key(number, VARINT)), out);
        // If the field occurs several times, the last value counts.
        push_varint(u64::from((dropped as u32).saturating_add(1)), out);
    }
    Ok(is_repaired)
}

/// The text with one U+FFFD for each sequence of bytes that are not UTF-8.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + char::REPLACEMENT_CHARACTER.len_utf8());
    let mut is_within_run = false;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        is_within_run &= chunk.valid().is_empty();
        if !chunk.invalid().is_empty() && !is_within_run {
            text.push(char::REPLACEMENT_CHARACTER);
            is_within_run = true;
        }
    }
    text
}

fn push_delimited(field_key: u32, bytes: &[u8], out: &mut Vec<u8>) {
    push_varint(u64::from(field_key), out);
    push_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn push_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_character_stands_for_each_run_of_unreadable_bytes() {
        for (bytes, text) in [
            (&b"plain"[..], "plain"),
            (b"a\xffb", "a\u{fffd}b"),
            (b"\xed\xa0\x80\xff", "\u{fffd}"),
            (b"\xffa\xff", "\u{fffd}a\u{fffd}"),
            ("ü".as_bytes(), "ü"),
        ] {
            assert_eq!(readable(bytes), text);
        }
    }
}
