//! Views of what traces, metrics and logs share: attributes, any-values, resources, scopes, and repeated messages.

use std::borrow::Cow;
use std::marker::PhantomData;

use super::wire::{Cursor, FIXED64, LENGTH_DELIMITED, VARINT, View, WireError, ascii_as_str, key};

/// Iterator over a repeated embedded message. It ends after the first error.
#[derive(Debug, Clone)]
pub struct Messages<'a, T> {
    cursor: Cursor<'a>,
    key: u32,
    view: PhantomData<fn() -> T>,
}

impl<'a, T> Messages<'a, T> {
    /// The messages of field `field` in what is left of their parent.
    #[inline]
    pub(crate) fn new(cursor: Cursor<'a>, field: u32) -> Self {
        Messages {
            cursor,
            key: key(field, LENGTH_DELIMITED),
            view: PhantomData,
        }
    }
}

/// The next message, or `None` at the end.
#[inline]
fn next_message<'a, T: View<'a>>(messages: &mut Messages<'a, T>) -> Result<Option<T>, WireError> {
    while !messages.cursor.is_empty() {
        let key = messages.cursor.key()?;
        if key == messages.key {
            return T::parse(messages.cursor.message()?).map(Some);
        }
        messages.cursor.skip(key)?;
    }
    Ok(None)
}

#[allow(private_bounds, reason = "which messages have views is decided in this crate")]
impl<'a, T: View<'a>> Iterator for Messages<'a, T> {
    type Item = Result<T, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let item = next_message(self).transpose();
        if let Some(Err(_)) = item {
            self.cursor = Cursor::EMPTY;
        }
        item
    }
}

/// The occurrences of one embedded message in its parent: one, as every known encoder writes it, or none, or several,
/// which protobuf's rule then merges as if their bytes were one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pieces<'a> {
    first: Cursor<'a>,
    after_first: Cursor<'a>,
    count: usize,
}

impl<'a> Pieces<'a> {
    pub(crate) const NONE: Pieces<'static> = Pieces {
        first: Cursor::EMPTY,
        after_first: Cursor::EMPTY,
        count: 0,
    };

    #[inline]
    pub(crate) fn push(&mut self, piece: Cursor<'a>, after: Cursor<'a>) {
        if self.count == 0 {
            self.first = piece;
            self.after_first = after;
        }
        self.count += 1;
    }

    /// The parent's bytes behind the first piece, if there are more pieces in them.
    #[inline]
    fn further(&self) -> Cursor<'a> {
        if self.count > 1 {
            self.after_first
        } else {
            Cursor::EMPTY
        }
    }
}

/// Every embedded message that can come in pieces (resource, scope) is field 1 of its parent.
const PIECE_KEY: u32 = key(1, LENGTH_DELIMITED);

/// A list of key-value pairs, read when it is iterated.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    list: Cursor<'a>,
    further_pieces: Cursor<'a>,
    key: u32,
}

impl<'a> Attributes<'a> {
    #[inline]
    pub(crate) fn new(list: Cursor<'a>, field: u32) -> Self {
        Attributes {
            list,
            further_pieces: Cursor::EMPTY,
            key: key(field, LENGTH_DELIMITED),
        }
    }

    #[inline]
    fn of_pieces(pieces: &Pieces<'a>, field: u32) -> Self {
        Attributes {
            further_pieces: pieces.further(),
            ..Self::new(pieces.first, field)
        }
    }

    /// Iterates over the pairs in the order of the wire, duplicates included.
    #[inline]
    pub fn iter(&self) -> AttributesIter<'a> {
        AttributesIter { remaining: *self }
    }

    /// The value of the first pair with this key. For more than one key, iterate.
    pub fn get(&self, key: &str) -> Result<Option<AnyValue<'a>>, WireError> {
        for attribute in self.iter() {
            let attribute = attribute?;
            if attribute.key == key {
                return Ok(Some(attribute.value));
            }
        }
        Ok(None)
    }
}

impl<'a> IntoIterator for Attributes<'a> {
    type Item = Result<KeyValue<'a>, WireError>;
    type IntoIter = AttributesIter<'a>;

    #[inline]
    fn into_iter(self) -> AttributesIter<'a> {
        self.iter()
    }
}

/// Iterator over [`Attributes`]. It ends after the first error.
#[derive(Debug, Clone)]
pub struct AttributesIter<'a> {
    remaining: Attributes<'a>,
}

impl<'a> AttributesIter<'a> {
    /// The next pair, not yet parsed.
    #[inline]
    pub(crate) fn next_message(&mut self) -> Result<Option<Cursor<'a>>, WireError> {
        loop {
            while !self.remaining.list.is_empty() {
                let key = self.remaining.list.key()?;
                if key == self.remaining.key {
                    return self.remaining.list.message().map(Some);
                }
                self.remaining.list.skip(key)?;
            }
            if self.remaining.further_pieces.is_empty() {
                return Ok(None);
            }
            self.next_piece()?;
        }
    }

    #[cold]
    fn next_piece(&mut self) -> Result<(), WireError> {
        let parent = &mut self.remaining.further_pieces;
        let key = parent.key()?;
        if key == PIECE_KEY {
            self.remaining.list = parent.message()?;
            return Ok(());
        }
        parent.skip(key)
    }

    #[cold]
    fn end(&mut self) {
        self.remaining.list = Cursor::EMPTY;
        self.remaining.further_pieces = Cursor::EMPTY;
    }
}

impl<'a> Iterator for AttributesIter<'a> {
    type Item = Result<KeyValue<'a>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let item = match self.next_message() {
            Ok(None) => return None,
            Ok(Some(message)) => KeyValue::parse(message),
            Err(error) => Err(error),
        };
        if item.is_err() {
            self.end();
        }
        Some(item)
    }
}

/// One attribute.
#[derive(Debug, Clone, Copy)]
pub struct KeyValue<'a> {
    /// Its key; empty if there is none.
    pub key: &'a str,
    /// Its value; [`AnyValue::Empty`] if there is none.
    pub value: AnyValue<'a>,
}

impl<'a> KeyValue<'a> {
    /// The pair, if it is encoded as nearly all are: key and value in this order, no length over 127, the value a
    /// number or the text ASCII. One straight line for these takes half the time of the general loops.
    #[inline]
    pub(super) fn parse_usual(message: Cursor<'a>) -> Option<Self> {
        let [0x0a, key_length, after_key_length @ ..] = message.rest() else {
            return None;
        };
        let (key, after_key) = after_key_length.split_at_checked(usize::from(*key_length))?;
        let [0x12, value_length, value @ ..] = after_key else {
            return None;
        };
        if *key_length >= 0x80 || *value_length >= 0x80 || value.len() != usize::from(*value_length) {
            return None;
        }
        let value = match value {
            [0x0a, length, text @ ..] if text.len() == usize::from(*length) => {
                AnyValue::String(ascii_as_str(text)?)
            }
            [0x18, byte] if *byte < 0x80 => AnyValue::Int(i64::from(*byte)),
            [0x18, low, high] if *high < 0x80 => {
                AnyValue::Int(i64::from(*low & 0x7f) | i64::from(*high) << 7)
            }
            _ => return None,
        };
        Some(KeyValue {
            key: ascii_as_str(key)?,
            value,
        })
    }
}

impl<'a> View<'a> for KeyValue<'a> {
    #[inline]
    fn parse(message: Cursor<'a>) -> Result<Self, WireError> {
        match Self::parse_usual(message) {
            Some(key_value) => Ok(key_value),
            None => parse_unusual(message),
        }
    }
}

#[inline(never)]
fn parse_unusual(mut message: Cursor<'_>) -> Result<KeyValue<'_>, WireError> {
    const KEY: u32 = key(1, LENGTH_DELIMITED);
    const VALUE: u32 = key(2, LENGTH_DELIMITED);

    let mut key_value = KeyValue {
        key: "",
        value: AnyValue::Empty,
    };
    while !message.is_empty() {
        match message.key()? {
            KEY => key_value.key = message.string()?,
            VALUE => key_value.value = AnyValue::parse(message.message()?)?,
            other => message.skip(other)?,
        }
    }
    Ok(key_value)
}

/// The value of an attribute.
#[derive(Debug, Clone, Copy)]
pub enum AnyValue<'a> {
    /// No value, or a reference into the string table of profiles, which no request of ours has.
    Empty,
    /// Text.
    String(&'a str),
    /// A truth value.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// A list of values.
    Array(ArrayValue<'a>),
    /// A list of key-value pairs.
    KeyValueList(Attributes<'a>),
    /// Bytes that are not text.
    Bytes(&'a [u8]),
}

impl<'a> AnyValue<'a> {
    /// The text, if it is text.
    #[inline]
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            AnyValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// The integer, if it is one.
    #[inline]
    pub fn as_int(&self) -> Option<i64> {
        match self {
            AnyValue::Int(value) => Some(*value),
            _ => None,
        }
    }
}

impl<'a> View<'a> for AnyValue<'a> {
    #[inline]
    fn parse(mut message: Cursor<'a>) -> Result<Self, WireError> {
        const STRING: u32 = key(1, LENGTH_DELIMITED);
        const BOOL: u32 = key(2, VARINT);
        const INT: u32 = key(3, VARINT);
        const DOUBLE: u32 = key(4, FIXED64);
        const ARRAY: u32 = key(5, LENGTH_DELIMITED);
        const KEY_VALUE_LIST: u32 = key(6, LENGTH_DELIMITED);
        const BYTES: u32 = key(7, LENGTH_DELIMITED);
        const STRING_INDEX: u32 = key(8, VARINT);

        let mut value = AnyValue::Empty;
        while !message.is_empty() {
            value = match message.key()? {
                STRING => AnyValue::String(message.string()?),
                BOOL => AnyValue::Bool(message.varint()? != 0),
                INT => AnyValue::Int(message.varint()?.cast_signed()),
                DOUBLE => AnyValue::Double(f64::from_bits(message.fixed64()?)),
                ARRAY => AnyValue::Array(ArrayValue {
                    message: message.message()?,
                }),
                KEY_VALUE_LIST => AnyValue::KeyValueList(Attributes::new(message.message()?, 1)),
                BYTES => AnyValue::Bytes(message.bytes()?),
                STRING_INDEX => {
                    message.varint()?;
                    AnyValue::Empty
                }
                other => {
                    message.skip(other)?;
                    value
                }
            };
        }
        Ok(value)
    }
}

/// A list of values, read when it is iterated.
#[derive(Debug, Clone, Copy)]
pub struct ArrayValue<'a> {
    message: Cursor<'a>,
}

impl<'a> ArrayValue<'a> {
    /// Iterates over the values.
    #[inline]
    pub fn iter(&self) -> Messages<'a, AnyValue<'a>> {
        Messages::new(self.message, 1)
    }
}

/// What produced the telemetry: a process on a host.
#[derive(Debug, Clone, Copy)]
pub struct Resource<'a> {
    pieces: Pieces<'a>,
}

impl<'a> Resource<'a> {
    #[inline]
    pub(crate) fn new(pieces: Pieces<'a>) -> Self {
        Resource { pieces }
    }

    /// The resource's encoding, the key under which what was concluded from it can be kept. Empty if there is none.
    /// Borrowed, except for a resource in several pieces.
    pub fn bytes(&self) -> Cow<'a, [u8]> {
        let first = self.pieces.first.rest();
        if self.pieces.further().is_empty() {
            return Cow::Borrowed(first);
        }
        let mut all = first.to_vec();
        let mut parent = self.pieces.further();
        while let Ok(key) = parent.key() {
            if key != PIECE_KEY {
                if parent.skip(key).is_err() {
                    break;
                }
            } else if let Ok(piece) = parent.bytes() {
                all.extend_from_slice(piece);
            } else {
                break;
            }
        }
        Cow::Owned(all)
    }

    /// Its attributes.
    #[inline]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::of_pieces(&self.pieces, 1)
    }
}

/// The library or module that made the telemetry.
#[derive(Debug, Clone, Copy)]
pub struct InstrumentationScope<'a> {
    /// Its name; empty if unknown.
    pub name: &'a str,
    /// Its version; empty if unknown.
    pub version: &'a str,
    pieces: Pieces<'a>,
}

impl<'a> InstrumentationScope<'a> {
    pub(crate) const NONE: InstrumentationScope<'static> = InstrumentationScope {
        name: "",
        version: "",
        pieces: Pieces::NONE,
    };

    /// Takes one piece more of the scope, which `after` follows in the parent.
    pub(crate) fn merge(&mut self, piece: Cursor<'a>, after: Cursor<'a>) -> Result<(), WireError> {
        const NAME: u32 = key(1, LENGTH_DELIMITED);
        const VERSION: u32 = key(2, LENGTH_DELIMITED);

        self.pieces.push(piece, after);
        let mut message = piece;
        while !message.is_empty() {
            match message.key()? {
                NAME => self.name = message.string()?,
                VERSION => self.version = message.string()?,
                other => message.skip(other)?,
            }
        }
        Ok(())
    }

    /// Its attributes.
    #[inline]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::of_pieces(&self.pieces, 3)
    }
}
