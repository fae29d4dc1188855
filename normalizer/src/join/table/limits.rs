//! What bounds the table from outside: its window, its size, and rows that have to leave before their time.

use super::JoinTable;

impl JoinTable {
    /// Changes how long a span is kept, and how many are.
    pub fn set_limits(&mut self, window_nanos: u64, entries_max: usize) {
        self.window_nanos = window_nanos;
        self.entries_max = entries_max;
    }

    /// Settles a row that waits under this entry as an orphan, before its window has passed.
    pub fn give_up(&mut self, entry: u32, row: u32) {
        if self.entries.get(entry).row == row {
            self.settle_as_orphan(entry);
        }
    }
}
