//! [`SlotSet`]: a set of the slots of attributes.

use crate::mapping::conventions::Slot;

/// A set of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SlotSet(u64);

const _: () = assert!((Slot::Reason as u32) < u64::BITS, "a slot is a bit");

impl SlotSet {
    pub fn of(slots: &[Slot]) -> Self {
        let mut set = Self::default();
        slots.iter().for_each(|&slot| set.insert(slot));
        set
    }

    pub fn insert(&mut self, slot: Slot) {
        self.0 |= 1 << slot as u32;
    }

    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    pub fn has(self, slot: Slot) -> bool {
        self.0 & 1 << slot as u32 != 0
    }

    /// Whether any of these slots is in the set.
    pub fn has_any(self, slots: &[Slot]) -> bool {
        slots.iter().any(|&slot| self.has(slot))
    }
}
