//! [`AttributeSlots`]: the attributes of one span, each where the table of conventions puts it.

use std::cell::Cell;

use cctf_proto::cctf::{TEXT_BYTES_MAX, bounded};
use cctf_proto::otlp::WireError;
use cctf_proto::otlp::common::{AnyValue, Attributes};

use super::conventions::{PLACE_OF, PLACES, SLOTS, Slot, find};

/// The attributes of one span, by slot. Made once a request and filled anew for each span.
#[derive(Debug)]
pub struct AttributeSlots<'a> {
    values: [AnyValue<'a>; SLOTS],
    ranks: [u8; SLOTS],
    places: &'static [u8; PLACES],
    is_cut: Cell<bool>,
}

const UNSET: u8 = u8::MAX;

impl<'a> AttributeSlots<'a> {
    /// No attributes.
    pub fn new() -> Self {
        Self {
            values: [AnyValue::Empty; SLOTS],
            ranks: [UNSET; SLOTS],
            places: &PLACE_OF,
            is_cut: Cell::new(false),
        }
    }

    /// Forgets the span before and takes this one's attributes.
    #[inline]
    pub fn fill(&mut self, attributes: Attributes<'a>) -> Result<(), WireError> {
        self.ranks = [UNSET; SLOTS];
        self.is_cut.set(false);
        let (places, ranks, values) = (self.places, &mut self.ranks, &mut self.values);
        attributes.take_wanted(
            |key| find(places, key),
            |convention, value| {
                let slot = convention.slot as usize;
                if convention.rank < ranks[slot] && !is_blank(convention.slot, &value) {
                    ranks[slot] = convention.rank;
                    values[slot] = value;
                }
            },
        )
    }

    /// Forgets the span before; of this one, only this slot is known, and nobody but this key tells of it.
    #[inline]
    pub fn fill_one(&mut self, slot: Slot, key: &str, attributes: Attributes<'a>) -> Result<(), WireError> {
        self.ranks = [UNSET; SLOTS];
        self.is_cut.set(false);
        let (rank, slot_value) = (&mut self.ranks[slot as usize], &mut self.values[slot as usize]);
        attributes.take_wanted(
            |found| (found == key.as_bytes()).then_some(()),
            |(), value| {
                if *rank == UNSET {
                    *rank = 0;
                    *slot_value = value;
                }
            },
        )
    }

    /// The value of a slot.
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<AnyValue<'a>> {
        self.value(slot).copied()
    }

    #[inline]
    fn value(&self, slot: Slot) -> Option<&AnyValue<'a>> {
        self.has(slot).then(|| &self.values[slot as usize])
    }

    /// Whether the slot is set.
    #[inline]
    pub fn has(&self, slot: Slot) -> bool {
        self.ranks[slot as usize] != UNSET
    }

    /// The text of a slot, as much of it as a field may hold; empty text counts as not told.
    #[inline]
    pub fn text(&self, slot: Slot) -> Option<&'a str> {
        match self.value(slot)? {
            AnyValue::String(text) if !text.is_empty() => Some(self.bounded(text)),
            _ => None,
        }
    }

    /// As much of a text of this span as a field may hold.
    #[inline]
    pub fn bounded(&self, text: &'a str) -> &'a str {
        if text.len() > TEXT_BYTES_MAX {
            self.is_cut.set(true);
        }
        bounded(text)
    }

    /// Whether a text of this span was too long for a field.
    pub fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    /// The whole number of a slot: SDKs send some as text, and header values as an array with one text.
    #[inline]
    pub fn integer(&self, slot: Slot) -> Option<i64> {
        match self.value(slot)? {
            AnyValue::Int(number) => Some(*number),
            other => integer(*other),
        }
    }

    /// The whole number of a slot, if it is not negative.
    #[inline]
    pub fn unsigned(&self, slot: Slot) -> Option<u64> {
        u64::try_from(self.integer(slot)?).ok()
    }
}

/// Whether a value says nothing, and so must not hide what another name says. A run id that is empty is invalid instead.
#[inline]
fn is_blank(slot: Slot, value: &AnyValue<'_>) -> bool {
    let is_empty = match value {
        AnyValue::String(text) => text.is_empty(),
        AnyValue::Empty => true,
        _ => false,
    };
    is_empty && slot != Slot::RunId
}

impl Default for AttributeSlots<'_> {
    fn default() -> Self {
        Self::new()
    }
}

pub(super) fn integer(value: AnyValue<'_>) -> Option<i64> {
    match value {
        AnyValue::Int(number) => Some(number),
        AnyValue::Double(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(number as i64),
        AnyValue::String(text) => text.trim().parse().ok(),
        AnyValue::Array(values) => {
            let mut values = values.iter();
            match (values.next(), values.next()) {
                (Some(Ok(AnyValue::String(text))), None) => text.trim().parse().ok(),
                _ => None,
            }
        }
        _ => None,
    }
}
