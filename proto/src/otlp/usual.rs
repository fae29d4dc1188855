//! [`UsualSpan`]: a span whose fields are in the order of their numbers, as all known encoders write them.

use super::ascii::ascii_as_str;
use super::attributes::{AnyValue, usual_varint};
use super::span::Span;
use super::wire::{Cursor, FIXED32, LENGTH_DELIMITED, VARINT, View, WireError, key};

/// Maximum number of attributes of a span with a pattern.
pub const PATTERN_ATTRIBUTES_MAX: usize = 64;

/// Maximum length of a span with a pattern, bytes. Most spans have a few hundred. It is not above the maximum length of a text
/// in a row, so no text of such a span is cut.
pub const PATTERN_BYTES_MAX: usize = 4096;

/// The bytes of a span, not parsed.
#[derive(Debug, Clone, Copy)]
pub struct SpanMessage<'a>(pub(super) Cursor<'a>);

/// Ids and their keys: 16 bytes of the trace, 8 of the span, and 8 of the parent if there is one.
pub(super) const IDS: usize = 28;
pub(super) const PARENT: usize = 10;
/// Kind, start and end with their keys.
pub(super) const TIMES: usize = 20;

impl<'a> SpanMessage<'a> {
    /// A span outside of a request.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Cursor::new(bytes))
    }

    pub fn bytes(&self) -> &'a [u8] {
        self.0.rest()
    }

    /// Parses the span.
    #[inline]
    pub fn parse(&self) -> Result<Span<'a>, WireError> {
        Span::parse(self.0)
    }

    /// A number that is equal for all spans of a pattern, and mostly differs for others: kind, presence of a parent, and the
    /// beginning of the first attribute's key. `None` if no pattern has such a span.
    #[inline]
    pub fn hint(&self) -> Option<u64> {
        let bytes = self.bytes();
        let has_parent = usize::from(*bytes.get(IDS)? == 0x22);
        let name = IDS + has_parent * PARENT;
        let times = name + 2 + usize::from(*bytes.get(name + 1)?);
        let kind = u64::from(*bytes.get(times + 1)?) << 8 | has_parent as u64;
        // A length of two bytes shifts the key.
        let attribute = bytes.get(times + TIMES..)?;
        let [ATTRIBUTE, length, _, key @ ..] = attribute else {
            return Some(kind);
        };
        let key = key.get(usize::from(length >> 7)..)?;
        let (key_length, key) = key.split_first()?;
        let mut eight = [0; 8];
        match key.first_chunk() {
            Some(chunk) => eight = *chunk,
            None => eight[..key.len()].copy_from_slice(key),
        }
        let unused = 8_u32.saturating_sub(u32::from(*key_length)) * 8;
        let of_key = u64::MAX.checked_shr(unused).unwrap_or(0);
        Some(u64::from_le_bytes(eight) & of_key ^ kind.rotate_right(16))
    }
}

/// Key of an attribute.
pub(super) const ATTRIBUTE: u8 = 0x4a;

/// A span in the usual encoding: the ids have valid lengths, name and kind are present, and there are no events, links, state or
/// status message. A parent id is not zero.
#[derive(Debug)]
pub struct UsualSpan<'a> {
    pub span: Span<'a>,
    pub attributes: Vec<UsualAttribute<'a>>,
    /// The field of the name.
    pub name: &'a [u8],
    pub kind_byte: u8,
    /// Everything after the attributes.
    pub tail: &'a [u8],
}

/// An attribute of such a span.
#[derive(Debug, Clone, Copy)]
pub struct UsualAttribute<'a> {
    /// The whole field.
    pub bytes: &'a [u8],
    /// Its beginning inside of the pair: key, and the key of the value. Empty if the pair is not encoded in this order.
    pub(super) head: &'a [u8],
    /// The key. Empty if the pair is not encoded in this order.
    pub key: &'a [u8],
    /// `None` if a pattern cannot return it.
    pub value: Option<Value<'a>>,
}

/// A value that a pattern can return. It takes a quarter of the memory of an [`AnyValue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// An ASCII text.
    Text(&'a str),
    Int(i64),
}

impl<'a> Value<'a> {
    /// The value, if it is an ASCII text.
    #[inline]
    pub(super) fn text_of(value: &'a [u8]) -> Option<&'a str> {
        if *value.first()? != 0x0a {
            return None;
        }
        let Length { value: expected, end } = length(value, 1)?;
        ascii_as_str(value.get(end..).filter(|bytes| bytes.len() == expected)?)
    }

    fn new(value: &'a [u8]) -> Option<Self> {
        if let Some(text) = Self::text_of(value) {
            return Some(Self::Text(text));
        }
        value.strip_prefix(&[0x18]).and_then(usual_varint).map(Self::Int)
    }
}

impl<'a> From<Value<'a>> for AnyValue<'a> {
    #[inline]
    fn from(value: Value<'a>) -> Self {
        match value {
            Value::Text(text) => AnyValue::String(text),
            Value::Int(number) => AnyValue::Int(number),
        }
    }
}

/// A length and the offset behind it.
pub(super) struct Length {
    pub value: usize,
    pub end: usize,
}

/// A length of one or two bytes.
#[inline]
pub(super) fn length(bytes: &[u8], at: usize) -> Option<Length> {
    let low = *bytes.get(at)?;
    if low < 0x80 {
        return Some(Length {
            value: usize::from(low),
            end: at + 1,
        });
    }
    let high = bytes.get(at + 1).filter(|&&high| high < 0x80)?;
    Some(Length {
        value: usize::from(low & 0x7f) | usize::from(*high) << 7,
        end: at + 2,
    })
}

impl<'a> SpanMessage<'a> {
    /// The span, if its encoding is usual and it is short enough for a pattern.
    pub fn usual(&self) -> Option<UsualSpan<'a>> {
        let bytes = self.bytes();
        if bytes.len() > PATTERN_BYTES_MAX {
            return None;
        }
        let span = Span::parse(self.0).ok()?;
        let has_more = span.events().next().is_some() || span.links().next().is_some();
        if has_more || !span.trace_state.is_empty() || !span.status.message.is_empty() {
            return None;
        }
        let after_ids = bytes.strip_prefix(&[0x0a, 0x10])?.get(16..)?;
        let mut rest = after_ids.strip_prefix(&[0x12, 0x08])?.get(8..)?;
        if let Some(parent) = rest.strip_prefix(&[0x22, 0x08]) {
            let (id, after) = parent.split_first_chunk()?;
            if *id == [0; 8] {
                return None;
            }
            rest = after;
        }
        let [0x2a, name_length @ 0..=0x7f, ..] = rest else {
            return None;
        };
        let (name, rest) = rest.split_at_checked(2 + usize::from(*name_length))?;
        ascii_as_str(&name[2..])?;
        let [0x30, kind_byte @ 1..=5, 0x39, times @ ..] = rest else {
            return None;
        };
        let mut rest = times.get(8..)?.strip_prefix(&[0x41])?.get(8..)?;
        let mut attributes = Vec::new();
        while rest.first() == Some(&ATTRIBUTE) {
            let Length { value, end } = length(rest, 1)?;
            let (field, after) = rest.split_at_checked(end + value)?;
            attributes.push(UsualAttribute::new(field, &field[end..]));
            rest = after;
        }
        let is_usual = attributes.len() <= PATTERN_ATTRIBUTES_MAX && is_tail(rest);
        is_usual.then_some(UsualSpan {
            span,
            attributes,
            name,
            kind_byte: *kind_byte,
            tail: rest,
        })
    }
}

impl<'a> UsualAttribute<'a> {
    fn new(bytes: &'a [u8], pair: &'a [u8]) -> Self {
        Self::split(bytes, pair).unwrap_or(Self {
            bytes,
            head: &[],
            key: &[],
            value: None,
        })
    }

    fn split(bytes: &'a [u8], pair: &'a [u8]) -> Option<Self> {
        let [0x0a, key_length @ 0..=0x7f, ..] = pair else {
            return None;
        };
        let key_end = 2 + usize::from(*key_length);
        let key = ascii_as_str(pair.get(2..key_end)?)?;
        let head = pair.get(..=key_end).filter(|head| head.ends_with(&[0x12]))?;
        let Length { value, end } = length(pair, head.len())?;
        let value = pair.get(end..).filter(|bytes| bytes.len() == value)?;
        Some(Self {
            bytes,
            head,
            key: key.as_bytes(),
            value: Value::new(value),
        })
    }
}

/// Whether these are only the fields after the attributes that [`Span`] stores by value, and the count of dropped events.
fn is_tail(bytes: &[u8]) -> bool {
    const DROPPED: [u32; 3] = [key(10, VARINT), key(12, VARINT), key(14, VARINT)];
    const STATUS: u32 = key(15, LENGTH_DELIMITED);
    const FLAGS: u32 = key(16, FIXED32);
    let mut cursor = Cursor::new(bytes);
    while !cursor.is_empty() {
        let is_known = match cursor.key() {
            Ok(key) if DROPPED.contains(&key) || key == STATUS || key == FLAGS => cursor.skip(key).is_ok(),
            _ => false,
        };
        if !is_known {
            return false;
        }
    }
    true
}
