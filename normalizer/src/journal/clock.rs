//! The clock that records are stamped with.

use std::time::{SystemTime, UNIX_EPOCH};

/// Tells nanoseconds since the Unix epoch.
pub type Clock = Box<dyn Fn() -> u64 + Send + Sync>;

/// The wall clock. What it says may go back; what the journal stamps does not.
pub fn wall_clock() -> Clock {
    Box::new(|| {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX)
    })
}
