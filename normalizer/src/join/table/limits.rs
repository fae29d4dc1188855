//! What bounds the table from outside: its window, its size, and rows that have to leave before their time.

use super::JoinTable;

impl JoinTable {
    /// Changes how long a span is kept, and how many are.
    pub fn set_limits(&mut self, window_ns: u64, entries_max: usize) {
        self.window_ns = window_ns;
        self.entries_max = entries_max;
    }

    /// Settles a row that waits under this entry before its window has passed: by what is known, else as an orphan.
    pub fn give_up(&mut self, entry: u32, row: u32) {
        if self.entries.get(entry).row != row {
            return;
        }
        self.relink_for_good(entry);
        self.settle_now(entry);
    }
}
