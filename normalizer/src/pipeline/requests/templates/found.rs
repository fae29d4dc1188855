//! [`Found`]: a value that a template has read from a span.

use cctf_proto::otlp::usual::Value;

use crate::mapping::AttributeSlots;
use crate::mapping::conventions::Slot;

/// A value of a slot.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    pub slot: Slot,
    pub value: Value<'a>,
}

impl<'a> Found<'a> {
    #[inline]
    pub fn put_into(self, slots: &mut AttributeSlots<'a>) {
        slots.put(self.slot, self.value.into());
    }
}
