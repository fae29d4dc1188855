//! Views of attributes: key-value pairs and their values.

use super::ascii::{ascii_as_str, is_ascii};
use super::common::{Messages, PIECE_KEY, Pieces};
use super::wire::{Cursor, FIXED64, LENGTH_DELIMITED, VARINT, View, WireError, key};

/// A list of key-value pairs. Iteration parses it.
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
    pub(super) fn from_pieces(pieces: &Pieces<'a>, field: u32) -> Self {
        Attributes {
            further_pieces: pieces.further(),
            ..Self::new(pieces.first, field)
        }
    }

    /// Iterates over the pairs in the order of the request, including duplicates.
    #[inline]
    pub fn iter(&self) -> AttributesIter<'a> {
        AttributesIter { remaining: *self }
    }

    /// The value of the first pair with this key. To look up several keys, iterate.
    pub fn get(&self, key: &str) -> Result<Option<AnyValue<'a>>, WireError> {
        for attribute in self.iter() {
            let attribute = attribute?;
            if attribute.key == key {
                return Ok(Some(attribute.value));
            }
        }
        Ok(None)
    }

    /// Calls `is_wanted` with each key. If it returns something, calls `take` with this and the value of the key.
    ///
    /// If a pair has the usual encoding and a key that is not wanted, its value is not parsed. An iterator would pass each pair
    /// through memory, which doubled the time that the attributes of a span take.
    #[inline]
    pub fn take_wanted<T>(
        &self,
        is_wanted: impl Fn(&[u8]) -> Option<T>,
        mut take: impl FnMut(T, AnyValue<'a>),
    ) -> Result<(), WireError> {
        let mut remaining = self.iter();
        loop {
            let message = match remaining.next_short() {
                Some(message) => message,
                None => match remaining.next_message()? {
                    Some(message) => message,
                    None => return Ok(()),
                },
            };
            if let Some((key, value)) = KeyValue::split_usual(message) {
                if let Some(wanted) = is_wanted(key) {
                    match usual_value(value) {
                        Some(value) => take(wanted, value),
                        None => take(wanted, parse_unusual(message)?.value),
                    }
                }
            } else {
                let attribute = parse_unusual(message)?;
                if let Some(wanted) = is_wanted(attribute.key.as_bytes()) {
                    take(wanted, attribute.value);
                }
            }
        }
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

/// Iterator over [`Attributes`]. It stops after the first error.
#[derive(Debug, Clone)]
pub struct AttributesIter<'a> {
    remaining: Attributes<'a>,
}

impl<'a> AttributesIter<'a> {
    /// The next pair, if it is the next field and short. Otherwise `None`, and nothing is consumed.
    #[inline]
    fn next_short(&mut self) -> Option<Cursor<'a>> {
        let mut list = self.remaining.list;
        if !list.take_key(self.remaining.key) {
            return None;
        }
        let message = list.short_message()?;
        self.remaining.list = list;
        Some(message)
    }

    /// The bytes of the next pair.
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
        let item = match self.next_short() {
            Some(message) => KeyValue::parse(message),
            None => match self.next_message() {
                Ok(None) => return None,
                Ok(Some(message)) => KeyValue::parse(message),
                Err(error) => Err(error),
            },
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
    /// Empty if missing.
    pub key: &'a str,
    /// [`AnyValue::Empty`] if missing.
    pub value: AnyValue<'a>,
}

impl<'a> KeyValue<'a> {
    /// Parses a pair that has the usual encoding: key before value, no length above 127, and a value that is a number or an
    /// ASCII text. This code without loops takes half the time of the general code.
    #[inline]
    pub(super) fn parse_usual(message: Cursor<'a>) -> Option<Self> {
        let (key, value) = Self::split_usual(message)?;
        let value = usual_value(value)?;
        Some(KeyValue {
            key: ascii_as_str(key)?,
            value,
        })
    }
}

impl<'a> KeyValue<'a> {
    /// The bytes of key and value. Each must occur once, the key must come first, and both must be shorter than 128 bytes.
    #[inline]
    fn split_usual(message: Cursor<'a>) -> Option<(&'a [u8], &'a [u8])> {
        let [0x0a, key_length, after_key_length @ ..] = message.rest() else {
            return None;
        };
        let (key, after_key) = after_key_length.split_at_checked(usize::from(*key_length))?;
        let [0x12, value_length, value @ ..] = after_key else {
            return None;
        };
        let is_usual =
            *key_length < 0x80 && *value_length < 0x80 && value.len() == usize::from(*value_length);
        is_usual.then_some((key, value))
    }
}

impl<'a> KeyValue<'a> {
    /// The key of a pair that [`Self::parse_usual`] accepts, without its value. All bytes around key and text are below 0x80,
    /// so a single ASCII check covers both.
    #[inline]
    pub(super) fn usual_key(message: Cursor<'a>) -> Option<&'a [u8]> {
        let (key, value) = Self::split_usual(message)?;
        let is_valid = match value {
            [0x0a, length, text @ ..] if text.len() == usize::from(*length) => is_ascii(message.rest()),
            [0x18, varint @ ..] => usual_varint(varint).is_some() && is_ascii(key),
            _ => false,
        };
        is_valid.then_some(key)
    }
}

/// The value, if it is a number or an ASCII text.
#[inline]
fn usual_value(bytes: &[u8]) -> Option<AnyValue<'_>> {
    match bytes {
        [0x0a, length, text @ ..] if text.len() == usize::from(*length) => {
            ascii_as_str(text).map(AnyValue::String)
        }
        [0x18, varint @ ..] => usual_varint(varint).map(AnyValue::Int),
        _ => None,
    }
}

/// A varint of one to eight bytes, which must use all bytes.
#[inline]
pub(super) fn usual_varint(bytes: &[u8]) -> Option<i64> {
    let (last, head) = bytes.split_last()?;
    if *last >= 0x80 || head.len() >= 8 {
        return None;
    }
    let mut value = i64::from(*last);
    for byte in head.iter().rev() {
        if *byte < 0x80 {
            return None;
        }
        value = value << 7 | i64::from(*byte & 0x7f);
    }
    Some(value)
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
    /// No value, or a reference to the string table of profiles, which these requests do not have.
    Empty,
    /// Text.
    String(&'a str),
    /// A boolean.
    Bool(bool),
    /// A signed integer.
    Int(i64),
    /// A floating-point number.
    Double(f64),
    /// A list of values.
    Array(ArrayValue<'a>),
    /// A list of key-value pairs.
    KeyValueList(Attributes<'a>),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl<'a> AnyValue<'a> {
    #[inline]
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            AnyValue::String(text) => Some(text),
            _ => None,
        }
    }

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

/// A list of values. Iteration parses it.
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
