//! Ids of entries, and of the rows that wait for an entry's outcome.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// Id of an entry in the table. The entry keeps its id until it is removed; then the id is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryId(NonZeroU32);

impl EntryId {
    pub(super) const fn new(index: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index as u32))
    }

    #[inline]
    pub(super) const fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    #[inline]
    pub(super) fn from_raw(raw: u32) -> Option<Self> {
        NonZeroU32::new(raw).map(Self)
    }

    #[inline]
    pub(super) const fn raw(self) -> u32 {
        self.0.get()
    }
}

/// Id of a row that waits beyond its request: its index in the table of such rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingId(u32);

impl PendingId {
    pub fn new(index: usize) -> Self {
        Self(index as u32)
    }

    #[inline]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A row that waits for the outcome of its span. The variant names the table that holds the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowRef {
    /// A row that waits beyond its request.
    Pending(PendingId),
    /// A row of the current request.
    OfRequest(u32),
    /// Inner work of the current request. It gets a row only if it turns out to be an invocation.
    Inner(u32),
}

/// An optional [`RowRef`] in four bytes, so that an entry has 112 bytes. Two bits select the table, and 30 bits are the index.
/// The memory limit and the size limit of a request keep the tables far below this range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RowSlot(u32);

impl RowSlot {
    pub const EMPTY: Self = Self(u32::MAX);
    const PLACE_BITS: u32 = 30;
    const OF_REQUEST: u32 = 1 << Self::PLACE_BITS;
    const INNER: u32 = 2 << Self::PLACE_BITS;

    #[inline]
    pub fn new(row: RowRef) -> Self {
        match row {
            RowRef::Pending(id) => Self(id.0),
            RowRef::OfRequest(place) => Self(Self::OF_REQUEST | place),
            RowRef::Inner(place) => Self(Self::INNER | place),
        }
    }

    #[inline]
    pub fn is_empty(self) -> bool {
        self == Self::EMPTY
    }

    #[inline]
    pub fn get(self) -> Option<RowRef> {
        let place = self.0 & (Self::OF_REQUEST - 1);
        match self.0 >> Self::PLACE_BITS {
            0 => Some(RowRef::Pending(PendingId(place))),
            1 => Some(RowRef::OfRequest(place)),
            2 => Some(RowRef::Inner(place)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_holds_a_row_of_each_table() {
        assert_eq!(RowSlot::EMPTY.get(), None);
        for place in [0, 7, (1 << RowSlot::PLACE_BITS) - 1] {
            for row in [
                RowRef::Pending(PendingId(place)),
                RowRef::OfRequest(place),
                RowRef::Inner(place),
            ] {
                assert_eq!(RowSlot::new(row).get(), Some(row));
            }
        }
    }
}
