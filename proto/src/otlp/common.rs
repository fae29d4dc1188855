//! Views of what traces, metrics and logs share: attributes, resources, scopes, and messages that repeat.

use std::borrow::Cow;
use std::marker::PhantomData;

pub use super::attributes::{AnyValue, ArrayValue, Attributes, AttributesIter, KeyValue};
use super::wire::{Cursor, LENGTH_DELIMITED, VARINT, View, WireError, key};

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

    /// The parent's bytes behind the first piece, if there are more pieces in them.
    #[inline]
    pub(super) fn further(&self) -> Cursor<'a> {
        if self.count > 1 {
            self.after_first
        } else {
            Cursor::EMPTY
        }
    }
}

/// Every embedded message that can come in pieces (resource, scope) is field 1 of its parent.
pub(super) const PIECE_KEY: u32 = key(1, LENGTH_DELIMITED);

/// What produced the telemetry: a process on a host.
#[derive(Debug, Clone, Copy)]
pub struct Resource<'a> {
    pieces: Pieces<'a>,
}

impl<'a> Resource<'a> {
    #[inline]
    pub(super) fn new(pieces: Pieces<'a>) -> Self {
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

    /// Attributes that the SDK left out.
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

    /// Its attributes.
    #[inline]
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::of_pieces(&self.pieces, 3)
    }
}
