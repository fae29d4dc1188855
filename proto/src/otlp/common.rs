//! Views of messages that traces, metrics and logs share: resources, scopes, and repeated messages.

use std::borrow::Cow;
use std::marker::PhantomData;

pub use super::attributes::{AnyValue, ArrayValue, Attributes, AttributesIter, KeyValue};
use super::wire::{Cursor, LENGTH_DELIMITED, VARINT, View, WireError, key};

/// Iterator over a repeated embedded message. It stops after the first error.
#[derive(Debug, Clone)]
pub struct Messages<'a, T> {
    cursor: Cursor<'a>,
    key: u32,
    view: PhantomData<fn() -> T>,
}

impl<'a, T> Messages<'a, T> {
    /// The messages of field `field` in the rest of their parent.
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

/// The occurrences of a singular embedded message in its parent. Known encoders write one. Several are merged as protobuf
/// requires, as if their bytes were concatenated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pieces<'a> {
    pub(super) first: Cursor<'a>,
    after_first: Cursor<'a>,
    count: usize,
}

impl<'a> Pieces<'a> {
    pub(super) const NONE: Pieces<'static> = Pieces {
        first: Cursor::EMPTY,
        after_first: Cursor::EMPTY,
        count: 0,
    };

    #[inline]
    pub(super) fn push(&mut self, piece: Cursor<'a>, after: Cursor<'a>) {
        if self.count == 0 {
            self.first = piece;
            self.after_first = after;
        }
        self.count += 1;
    }

    /// The bytes of the parent after the first occurrence, if they contain further ones.
    #[inline]
    pub(super) fn further(&self) -> Cursor<'a> {
        if self.count > 1 {
            self.after_first
        } else {
            Cursor::EMPTY
        }
    }
}

/// Every message whose occurrences are merged (resource, scope) is field 1 of its parent.
pub(super) const PIECE_KEY: u32 = key(1, LENGTH_DELIMITED);

/// The source of telemetry: a process on a host.
#[derive(Debug, Clone, Copy)]
pub struct Resource<'a> {
    pieces: Pieces<'a>,
}

impl<'a> Resource<'a> {
    #[inline]
    pub(super) fn new(pieces: Pieces<'a>) -> Self {
        Resource { pieces }
    }

    /// The encoding of the resource, which callers use as a cache key. Empty if the resource is missing. Borrowed, unless the
    /// resource has several occurrences.
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

    #[inline]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::from_pieces(&self.pieces, 1)
    }

    /// Number of attributes that the SDK dropped.
    pub fn dropped_attributes_count(&self) -> Result<u32, WireError> {
        const COUNT: u32 = key(2, VARINT);

        let bytes = self.bytes();
        let mut cursor = Cursor::new(&bytes);
        let mut count = 0;
        while !cursor.is_empty() {
            match cursor.key()? {
                COUNT => count = cursor.varint()? as u32,
                other => cursor.skip(other)?,
            }
        }
        Ok(count)
    }
}

/// The instrumentation library that created the telemetry.
#[derive(Debug, Clone, Copy)]
pub struct InstrumentationScope<'a> {
    /// Empty if unknown.
    pub name: &'a str,
    /// Empty if unknown.
    pub version: &'a str,
    pieces: Pieces<'a>,
}

impl<'a> InstrumentationScope<'a> {
    pub(crate) const NONE: InstrumentationScope<'static> = InstrumentationScope {
        name: "",
        version: "",
        pieces: Pieces::NONE,
    };

    /// Merges a further occurrence of the scope. `after` is the rest of the parent.
    pub(super) fn merge(&mut self, piece: Cursor<'a>, after: Cursor<'a>) -> Result<(), WireError> {
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

    #[inline]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::from_pieces(&self.pieces, 3)
    }
}
