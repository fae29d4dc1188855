//! A bounds-checked cursor over protobuf's wire format, with prost's rules on what is valid.

use std::fmt;

/// Deepest nesting of messages and groups, as prost and the C++ implementation have it.
pub const NESTING_MAX: u32 = 100;

/// Longest encoding of a varint, bytes.
const VARINT_LEN_MAX: usize = 10;

/// Bytes that are not a valid request, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {offset} of the request")]
pub struct WireError {
    /// Where in the request, from its first byte.
    pub offset: usize,
    /// What is wrong there.
    pub kind: WireErrorKind,
}

/// What can be wrong with bytes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireErrorKind {
    /// A value or a length reaches past the end of its message.
    Truncated,
    /// A varint of more than ten bytes or more than 64 bits.
    VarintOverflow,
    /// Field number zero, or one above 2^29 - 1.
    InvalidFieldNumber,
    /// Wire type 6 or 7, which do not exist.
    InvalidWireType,
    /// A known field in another wire type than its own.
    WrongWireType,
    /// The end of a group that was not begun, or of another one than was begun last.
    UnexpectedEndGroup,
    /// Messages or groups nested deeper than [`NESTING_MAX`].
    NestedTooDeep,
    /// A string field whose bytes are not UTF-8.
    InvalidUtf8,
    /// An embedded message that has to be in one piece occurs twice in its parent.
    MessageInPieces,
}

impl WireErrorKind {
    /// What is wrong, in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "a field that reaches past the end of its message",
            Self::VarintOverflow => "a varint of more than 64 bits",
            Self::InvalidFieldNumber => "an invalid field number",
            Self::InvalidWireType => "an invalid wire type",
            Self::WrongWireType => "a field in the wrong wire type",
            Self::UnexpectedEndGroup => "an end of a group that was not begun",
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

/// Wire types as they stand in the low three bits of a field's key.
pub(crate) const VARINT: u32 = 0;
pub(crate) const FIXED64: u32 = 1;
pub(crate) const LENGTH_DELIMITED: u32 = 2;
const START_GROUP: u32 = 3;
const END_GROUP: u32 = 4;
pub(crate) const FIXED32: u32 = 5;

/// The key that precedes a field on the wire.
pub(crate) const fn key(field: u32, wire_type: u32) -> u32 {
    (field << 3) | wire_type
}

/// What is left of one message, and where that lies in the request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
    /// The request's offset at which `rest` ends: one number that stays as it is while the cursor moves.
    end: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const EMPTY: Cursor<'static> = Cursor { rest: &[], end: 0 };

    #[inline]
    pub(crate) fn new(request: &'a [u8]) -> Self {
        Cursor {
            rest: request,
            end: request.len(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    /// What lies between this cursor and a later state of it.
    #[inline]
    pub(crate) fn until(&self, later: &Cursor<'a>) -> Cursor<'a> {
        let length = self.rest.len().saturating_sub(later.rest.len());
        Cursor {
            rest: &self.rest[..length],
            end: self.offset() + length,
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn error(&self, kind: WireErrorKind) -> WireError {
        WireError {
            offset: self.offset(),
            kind,
        }
    }

    /// The key of the next field: number and wire type, not yet known to be valid. What a reader does not recognise
    /// goes to [`Cursor::skip`], which refuses invalid ones.
    #[inline]
    pub(crate) fn key(&mut self) -> Result<u32, WireError> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u32::from(*byte))
            }
            _ => self.long_key(),
        }
    }

    fn long_key(&mut self) -> Result<u32, WireError> {
        let before = *self;
        let key = self.varint()?;
        u32::try_from(key).map_err(|_| before.error(WireErrorKind::InvalidFieldNumber))
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest {
            [first, rest @ ..] if *first < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*first))
            }
            [first, second, rest @ ..] if *second < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*first & 0x7f) | u64::from(*second) << 7)
            }
            _ => self.long_varint(),
        }
    }

    #[inline(never)]
    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for (index, &byte) in self.rest.iter().take(VARINT_LEN_MAX).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                if index == VARINT_LEN_MAX - 1 && byte > 1 {
                    break;
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        let too_long = self.rest.len() >= VARINT_LEN_MAX;
        Err(self.error(if too_long {
            WireErrorKind::VarintOverflow
        } else {
            WireErrorKind::Truncated
        }))
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, WireError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<8>() else {
            return Err(self.error(WireErrorKind::Truncated));
        };
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32, WireError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<4>() else {
            return Err(self.error(WireErrorKind::Truncated));
        };
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// A length-delimited field: its length, then that many bytes, which are skipped here.
    #[inline]
    pub(crate) fn message(&mut self) -> Result<Cursor<'a>, WireError> {
        let before = *self;
        let length = self.varint()?;
        // A length above usize::MAX (32-bit targets) is as surely too long as usize::MAX itself.
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some((inside, rest)) = self.rest.split_at_checked(length) else {
            return Err(before.error(WireErrorKind::Truncated));
        };
        let end = self.offset() + length;
        self.rest = rest;
        Ok(Cursor { rest: inside, end })
    }

    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        Ok(self.message()?.rest)
    }

    #[inline]
    pub(crate) fn string(&mut self) -> Result<&'a str, WireError> {
        self.message()?.as_utf8()
    }

    /// All that is left, as text.
    #[inline]
    pub(crate) fn as_utf8(&self) -> Result<&'a str, WireError> {
        if is_ascii(self.rest) {
            // SAFETY: ASCII is UTF-8.
            return Ok(unsafe { std::str::from_utf8_unchecked(self.rest) });
        }
        match std::str::from_utf8(self.rest) {
            Ok(text) => Ok(text),
            Err(_) => Err(self.error(WireErrorKind::InvalidUtf8)),
        }
    }

    /// Skips the value of a field that is not read, whose key has just been taken.
    #[inline]
    pub(crate) fn skip(&mut self, key: u32) -> Result<(), WireError> {
        match key & 7 {
            LENGTH_DELIMITED if key >= 8 => self.message().map(drop),
            _ => self.skip_within(key, NESTING_MAX),
        }
    }

    /// [`Cursor::skip`], where `levels` more of nesting are allowed.
    pub(crate) fn skip_within(&mut self, key: u32, levels: u32) -> Result<(), WireError> {
        if key >> 3 == 0 {
            return Err(self.error(WireErrorKind::InvalidFieldNumber));
        }
        if levels == 0 {
            return Err(self.error(WireErrorKind::NestedTooDeep));
        }
        match key & 7 {
            VARINT => self.varint().map(drop),
            FIXED64 => self.fixed64().map(drop),
            LENGTH_DELIMITED => self.message().map(drop),
            START_GROUP => self.skip_group(key >> 3, levels),
            FIXED32 => self.fixed32().map(drop),
            END_GROUP => Err(self.error(WireErrorKind::UnexpectedEndGroup)),
            _ => Err(self.error(WireErrorKind::InvalidWireType)),
        }
    }

    fn skip_group(&mut self, field: u32, levels: u32) -> Result<(), WireError> {
        loop {
            let key = self.key()?;
            if key == self::key(field, END_GROUP) {
                return Ok(());
            }
            self.skip_within(key, levels - 1)?;
        }
    }
}

/// Whether all bytes are below 0x80, in words of eight: attribute keys and values are short, so the last word
/// overlaps the one before instead of being taken byte by byte.
#[inline]
pub(crate) fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
    match bytes {
        [first, .., last] if bytes.len() < 4 => (first | last | bytes[bytes.len() / 2]) < 0x80,
        [] => true,
        [only] => *only < 0x80,
        _ if bytes.len() < 8 => match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
            (Some(head), Some(tail)) => {
                (u32::from_le_bytes(*head) | u32::from_le_bytes(*tail)) & HIGH_BITS as u32 == 0
            }
            _ => false,
        },
        _ => {
            let (words, _) = bytes.as_chunks::<8>();
            let last = bytes
                .last_chunk::<8>()
                .map_or(HIGH_BITS, |word| u64::from_le_bytes(*word));
            words
                .iter()
                .fold(last, |bits, word| bits | u64::from_le_bytes(*word))
                & HIGH_BITS
                == 0
        }
    }
}

/// A message that can be viewed in place.
pub(crate) trait View<'a>: Sized {
    fn parse(message: Cursor<'a>) -> Result<Self, WireError>;
}
