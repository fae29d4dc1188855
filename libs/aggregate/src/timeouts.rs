//! Default timeouts of the normalizer. The merge uses them for folders that do not state their timeouts.

use std::time::Duration;

/// Maximum time for which a row waits for the spans that it depends on (the join window).
pub const JOIN_WINDOW: Duration = Duration::from_secs(15);
/// Time of silence after which an instance counts as stopped.
pub const STALE_AFTER: Duration = Duration::from_secs(180);
