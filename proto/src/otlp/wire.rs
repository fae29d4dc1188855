//! [`Cursor`]: a bounds-checked reader of protobuf's wire format. It accepts what prost accepts.

use std::fmt;
use std::ops::Range;

use super::ascii::ascii_as_str;

/// Maximum nesting of messages and groups, as in prost and the C++ implementation.
pub const NESTING_MAX: u32 = 100;

/// Maximum length of a varint, bytes.
pub(crate) const VARINT_LEN_MAX: usize = 10;

/// An invalid request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset} of the request")]
pub struct WireError {
    /// Offset in the request, bytes.
    pub offset: usize,
    pub kind: WireErrorKind,
}

/// Type of a [`WireError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireErrorKind {
    /// A value or a length exceeds its message.
    Truncated,
    /// A varint of more than ten bytes or more than 64 bits.
    VarintOverflow,
    /// Field number zero, or one above 2^29 - 1.
    InvalidFieldNumber,
    /// Wire type 6 or 7, which do not exist.
    InvalidWireType,
    /// A known field with the wrong wire type.
    WrongWireType,
    /// The end of a group other than the one started last.
    UnexpectedEndGroup,
    /// Messages or groups nested deeper than [`NESTING_MAX`].
    NestedTooDeep,
    /// A string field whose bytes are not UTF-8.
    InvalidUtf8,
    /// An embedded message that may occur once occurs twice in its parent.
    MessageInPieces,
}

impl WireErrorKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "a field that exceeds its message",
            Self::VarintOverflow => "a varint of more than 64 bits",
            Self::InvalidFieldNumber => "an invalid field number",
            Self::InvalidWireType => "an invalid wire type",
            Self::WrongWireType => "a field with the wrong wire type",
            Self::UnexpectedEndGroup => "an end of a group that was not started",
            Self::NestedTooDeep => "more than 100 nested messages",
            Self::InvalidUtf8 => "a string that is not UTF-8",
            Self::MessageInPieces => "an embedded message that occurs twice",
        }
    }
}

impl fmt::Display for WireErrorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Wire types: the low three bits of a field's key.
pub(crate) const VARINT: u32 = 0;
pub(crate) const FIXED64: u32 = 1;
pub(crate) const LENGTH_DELIMITED: u32 = 2;
const START_GROUP: u32 = 3;
const END_GROUP: u32 = 4;
pub(crate) const FIXED32: u32 = 5;

/// The key before a field's value.
pub(crate) const fn key(field: u32, wire_type: u32) -> u32 {
    (field << 3) | wire_type
}

/// The rest of one message.
///
/// Only `position` changes, and the cursor is passed by reference only to inlined functions, so that loops can keep it in
/// registers. With a shrinking slice, pointer and length went through memory at each field, which more than doubled the time
/// for a span.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    /// The request up to the end of this message, so that `position` is an offset in the request.
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const EMPTY: Cursor<'static> = Cursor {
        bytes: &[],
        position: 0,
    };

    #[inline]
    pub(crate) fn new(request: &'a [u8]) -> Self {
        Cursor {
            bytes: request,
            position: 0,
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.position >= self.bytes.len()
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    /// The offset in the request.
    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The bytes between two offsets in the request.
    #[inline]
    pub(crate) fn range(&self, range: Range<usize>) -> Cursor<'a> {
        Cursor {
            bytes: self.bytes.get(..range.end).unwrap_or_default(),
            position: range.start,
        }
    }

    #[inline]
    pub(crate) fn error(&self, kind: WireErrorKind) -> WireError {
        WireError {
            offset: self.position,
            kind,
        }
    }

    /// Consumes the next key if it equals `key`, which must have one byte.
    #[inline]
    pub(crate) fn take_key(&mut self, key: u32) -> bool {
        let is_next = self
            .bytes
            .get(self.position)
            .is_some_and(|byte| u32::from(*byte) == key);
        self.position += usize::from(is_next);
        is_next
    }

    /// The key of the next field: number and wire type. It is not validated. Readers pass unknown keys to [`Cursor::skip`],
    /// which refuses invalid ones.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<u32, WireError> {
        let position = self.position;
        let key = self.varint()?;
        match u32::try_from(key) {
            Ok(key) => Ok(key),
            Err(_) => Err(WireError {
                offset: position,
                kind: WireErrorKind::InvalidFieldNumber,
            }),
        }
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        if let Some(&byte) = self.bytes.get(self.position)
            && byte < 0x80
        {
            self.position += 1;
            return Ok(u64::from(byte));
        }
        self.long_varint()
    }

    #[inline]
    fn long_varint(&mut self) -> Result<u64, WireError> {
        if let Some([low, high]) = self.bytes.get(self.position..).and_then(<[u8]>::first_chunk::<2>)
            && *high < 0x80
        {
            self.position += 2;
            return Ok(u64::from(*low & 0x7f) | u64::from(*high) << 7);
        }
        let (value, position) = longer_varint(self.bytes, self.position)?;
        self.position = position;
        Ok(value)
    }

    #[inline]
    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let Some(bytes) = self.bytes.get(self.position..).and_then(<[u8]>::first_chunk::<N>) else {
            return Err(self.error(WireErrorKind::Truncated));
        };
        self.position += N;
        Ok(*bytes)
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, WireError> {
        self.fixed().map(u64::from_le_bytes)
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32, WireError> {
        self.fixed().map(u32::from_le_bytes)
    }

    /// Skips the value of a length-delimited field (a length, then that many bytes), and returns a cursor over these bytes.
    #[inline]
    pub(crate) fn message(&mut self) -> Result<Cursor<'a>, WireError> {
        let length_position = self.position;
        let length = self.varint()?;
        let start = self.position;
        // On 32-bit targets, a length above usize::MAX becomes usize::MAX, which is also too long.
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let end = start.saturating_add(length);
        let Some(bytes) = self.bytes.get(..end) else {
            return Err(WireError {
                offset: length_position,
                kind: WireErrorKind::Truncated,
            });
        };
        self.position = end;
        Ok(Cursor {
            bytes,
            position: start,
        })
    }

    /// Like [`Self::message`], for messages of less than 128 bytes, as nearly all are. Returns `None` for others, and consumes
    /// nothing then. A cursor in a `Result` would go through memory, which took a third of the time for reading a span's
    /// attributes.
    #[inline]
    pub(crate) fn short_message(&mut self) -> Option<Cursor<'a>> {
        let length = *self.bytes.get(self.position)?;
        let start = self.position + 1;
        let end = start + usize::from(length);
        if length >= 0x80 {
            return None;
        }
        let bytes = self.bytes.get(..end)?;
        self.position = end;
        Some(Cursor {
            bytes,
            position: start,
        })
    }

    /// Skips the length-delimited fields with this key that come next, up to one that is incomplete or longer than 16 KiB. A key
    /// must have one byte. A scope consists of spans, so reading each key and length in the general way took as long as a tenth
    /// of the check of a span.
    #[inline]
    pub(crate) fn skip_messages(&mut self, key: u32) {
        while let Some([found, low, high]) =
            self.bytes.get(self.position..).and_then(<[u8]>::first_chunk::<3>)
        {
            let (len, start) = match (*low, *high) {
                (0..0x80, _) => (usize::from(*low), self.position + 2),
                (_, 0..0x80) => (
                    usize::from(*low & 0x7f) | usize::from(*high) << 7,
                    self.position + 3,
                ),
                _ => return,
            };
            if u32::from(*found) != key || start + len > self.bytes.len() {
                return;
            }
            self.position = start + len;
        }
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        match self.short_message() {
            Some(message) => Ok(message.rest()),
            None => Ok(self.message()?.rest()),
        }
    }

    #[inline]
    pub(crate) fn string(&mut self) -> Result<&'a str, WireError> {
        match self.short_message() {
            Some(message) => message.as_utf8(),
            None => self.message()?.as_utf8(),
        }
    }

    /// The unread part as text.
    #[inline]
    pub(crate) fn as_utf8(&self) -> Result<&'a str, WireError> {
        let text = self.rest();
        ascii_as_str(text).map_or_else(|| non_ascii(text, self.position), Ok)
    }

    /// Skips the value of the field whose key was read last.
    #[inline]
    pub(crate) fn skip(&mut self, key: u32) -> Result<(), WireError> {
        self.skip_within(key, NESTING_MAX)
    }

    /// Like [`Cursor::skip`]. `levels` further levels of nesting are allowed.
    #[inline]
    pub(crate) fn skip_within(&mut self, key: u32, levels: u32) -> Result<(), WireError> {
        if key >= 8 && key & 7 == LENGTH_DELIMITED && levels > 0 {
            return self.message().map(drop);
        }
        self.position = skip_other(*self, key, levels)?;
        Ok(())
    }
}

/// A varint of any length, and its end.
#[inline(never)]
fn longer_varint(bytes: &[u8], position: usize) -> Result<(u64, usize), WireError> {
    let rest = bytes.get(position..).unwrap_or_default();
    let mut value = 0;
    for (index, &byte) in rest.iter().take(VARINT_LEN_MAX).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            if index == VARINT_LEN_MAX - 1 && byte > 1 {
                break;
            }
            return Ok((value, position + index + 1));
        }
    }
    let kind = if rest.len() < VARINT_LEN_MAX {
        WireErrorKind::Truncated
    } else {
        WireErrorKind::VarintOverflow
    };
    Err(WireError {
        offset: position,
        kind,
    })
}

#[cold]
#[inline(never)]
fn non_ascii(text: &[u8], offset: usize) -> Result<&str, WireError> {
    std::str::from_utf8(text).map_err(|_| WireError {
        offset,
        kind: WireErrorKind::InvalidUtf8,
    })
}

/// The end of the value of a field that is not length-delimited.
#[inline(never)]
fn skip_other(mut cursor: Cursor<'_>, key: u32, levels: u32) -> Result<usize, WireError> {
    if key >> 3 == 0 {
        return Err(cursor.error(WireErrorKind::InvalidFieldNumber));
    }
    if levels == 0 {
        return Err(cursor.error(WireErrorKind::NestedTooDeep));
    }
    match key & 7 {
        VARINT => drop(cursor.varint()?),
        FIXED64 => drop(cursor.fixed64()?),
        LENGTH_DELIMITED => drop(cursor.message()?),
        START_GROUP => loop {
            let inner = cursor.key()?;
            if inner == self::key(key >> 3, END_GROUP) {
                break;
            }
            cursor.skip_within(inner, levels - 1)?;
        },
        FIXED32 => drop(cursor.fixed32()?),
        END_GROUP => return Err(cursor.error(WireErrorKind::UnexpectedEndGroup)),
        _ => return Err(cursor.error(WireErrorKind::InvalidWireType)),
    }
    Ok(cursor.position)
}

/// A message with a borrowed view.
pub(crate) trait View<'a>: Sized {
    fn parse(message: Cursor<'a>) -> Result<Self, WireError>;
}

/// The bytes of a message.
impl<'a> View<'a> for Cursor<'a> {
    #[inline]
    fn parse(message: Cursor<'a>) -> Result<Self, WireError> {
        Ok(message)
    }
}
