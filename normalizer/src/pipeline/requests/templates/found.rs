//! [`Found`]: a value that a template has read from a span.

use cctf_proto::otlp::common::AnyValue;

use crate::mapping::AttributeSlots;
use crate::mapping::conventions::Slot;

/// A value of a slot.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    pub slot: Slot,
    pub value: Value<'a>,
}

/// A value that a template can read. It takes a quarter of the memory of an [`AnyValue`].
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    Text(&'a str),
    Int(i64),
}

impl<'a> Found<'a> {
    #[inline]
    pub fn new(slot: Slot, value: AnyValue<'a>) -> Self {
        let value = match value {
            AnyValue::String(text) => Value::Text(text),
            AnyValue::Int(number) => Value::Int(number),
            // Patterns return no other values. An empty text counts as missing.
            _ => Value::Text(""),
        };
        Self { slot, value }
    }

    #[inline]
    pub fn put_into(self, slots: &mut AttributeSlots<'a>) {
        let value = match self.value {
            Value::Text(text) => AnyValue::String(text),
            Value::Int(number) => AnyValue::Int(number),
        };
        slots.put(self.slot, value);
    }
}
