//! Changes of the table's limits, and rows that must be resolved before the end of their window.

use super::super::ids::{EntryId, RowRef, RowSlot};
use super::JoinTable;

impl JoinTable {
    /// Changes the time for which a span is kept, and the maximum number of spans.
    pub fn set_limits(&mut self, window_ns: u64, entries_max: usize) {
        self.window_ns = window_ns;
        self.entries_max = entries_max;
    }

    /// Resolves the row of this entry before the end of its window. Without a known parent, the row becomes an orphan.
    pub fn resolve_early(&mut self, entry: EntryId, row: RowRef) {
        if self.entries.get(entry).row != RowSlot::new(row) {
            return;
        }
        self.relink_for_good(entry);
        self.resolve_now(entry);
    }
}
