//! [`AttributeSlots`]: the attributes of one span, in the slots that the table of conventions assigns to them.

use std::cell::Cell;

use cctf_proto::cctf::{TEXT_BYTES_MAX, bounded};
use cctf_proto::otlp::WireError;
use cctf_proto::otlp::common::{AnyValue, Attributes};

use super::conventions::{BUCKETS, Convention, ROW_BY_BUCKET, SLOTS, Slot, find};

/// The attributes of one span, by slot. Created once per request and refilled for each span.
#[derive(Debug)]
pub struct AttributeSlots<'a> {
    values: [AnyValue<'a>; SLOTS],
    ranks: [u8; SLOTS],
    buckets: &'static [u8; BUCKETS],
    is_cut: Cell<bool>,
}

const UNSET: u8 = u8::MAX;

impl<'a> AttributeSlots<'a> {
    pub fn new() -> Self {
        Self {
            values: [AnyValue::Empty; SLOTS],
            ranks: [UNSET; SLOTS],
            buckets: &ROW_BY_BUCKET,
            is_cut: Cell::new(false),
        }
    }

    /// Replaces the attributes with those of another span.
    #[inline]
    pub fn fill(&mut self, attributes: Attributes<'a>) -> Result<(), WireError> {
        self.clear();
        let (buckets, ranks, values) = (self.buckets, &mut self.ranks, &mut self.values);
        attributes.take_wanted(
            |key| find(buckets, key),
            |convention, value| {
                let slot = convention.slot as usize;
                if convention.rank < ranks[slot] && !is_blank(convention.slot, &value) {
                    ranks[slot] = convention.rank;
                    values[slot] = value;
                }
            },
        )
    }

    /// Replaces the attributes with a single attribute `key` of another span, which fills `slot`.
    #[inline]
    pub fn fill_one(&mut self, slot: Slot, key: &str, attributes: Attributes<'a>) -> Result<(), WireError> {
        self.clear();
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

    /// Removes all attributes.
    #[inline]
    pub fn clear(&mut self) {
        self.ranks = [UNSET; SLOTS];
        self.is_cut.set(false);
    }

    /// Sets the value of a slot.
    #[inline]
    pub fn put(&mut self, slot: Slot, value: AnyValue<'a>) {
        self.ranks[slot as usize] = 0;
        self.values[slot as usize] = value;
    }

    #[inline]
    pub fn get(&self, slot: Slot) -> Option<AnyValue<'a>> {
        self.value(slot).copied()
    }

    #[inline]
    fn value(&self, slot: Slot) -> Option<&AnyValue<'a>> {
        self.has(slot).then(|| &self.values[slot as usize])
    }

    #[inline]
    pub fn has(&self, slot: Slot) -> bool {
        self.ranks[slot as usize] != UNSET
    }

    /// The text of a slot, cut to the maximum length of a field. Empty text counts as absent.
    #[inline]
    pub fn text(&self, slot: Slot) -> Option<&'a str> {
        match self.value(slot)? {
            AnyValue::String(text) if !text.is_empty() => Some(self.bounded(text)),
            _ => None,
        }
    }

    /// The text, cut to the maximum length of a field.
    #[inline]
    pub fn bounded(&self, text: &'a str) -> &'a str {
        if text.len() > TEXT_BYTES_MAX {
            self.is_cut.set(true);
        }
        bounded(text)
    }

    /// Whether a text of this span was cut.
    pub fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    /// The integer of a slot. SDKs send some as text, and header values as an array with one text.
    #[inline]
    pub fn integer(&self, slot: Slot) -> Option<i64> {
        match self.value(slot)? {
            AnyValue::Int(number) => Some(*number),
            other => integer(*other),
        }
    }

    /// The integer of a slot, if it is not negative.
    #[inline]
    pub fn unsigned(&self, slot: Slot) -> Option<u64> {
        u64::try_from(self.integer(slot)?).ok()
    }
}

/// The row of a key in the table of conventions.
pub fn convention_of(key: &[u8]) -> Option<Convention> {
    find(&ROW_BY_BUCKET, key)
}

/// Whether a value counts as missing, so that it does not hide a value of another key. An empty run id is an exception: it is
/// invalid instead.
#[inline]
pub fn is_blank(slot: Slot, value: &AnyValue<'_>) -> bool {
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
