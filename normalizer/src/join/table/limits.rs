//! Changed limits of the table, and rows that have to leave before their window has passed.

use super::super::ids::{EntryId, RowRef, RowSlot};
use super::JoinTable;

impl JoinTable {
    /// Changes how long a span is kept, and the maximum number of spans.
    pub fn set_limits(&mut self, window_ns: u64, entries_max: usize) {
        self.window_ns = window_ns;
        self.entries_max = entries_max;
    }

    /// Resolves a row that waits under this entry before its window has passed: by what is known, else as an orphan.
    pub fn resolve_early(&mut self, entry: EntryId, row: RowRef) {
        if self.entries.get(entry).row != RowSlot::new(row) {
            return;
        }
        self.relink_for_good(entry);
        self.resolve_now(entry);
    }
}
