//! [`Passes`]: bytes read in all passes over the rows.

use std::sync::atomic::{AtomicU64, Ordering};

use analyze::stats::Progress;

pub struct Passes {
    done: AtomicU64,
    total: u64,
}

impl Passes {
    pub fn new(total: u64) -> Self {
        Self {
            done: AtomicU64::new(0),
            total,
        }
    }

    /// Adds bytes of a chunk.
    pub fn add(&self, bytes: u64) -> Progress {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        Progress {
            done: done.min(self.total),
            total: self.total,
        }
    }
}
