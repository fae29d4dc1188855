//! Default timeouts of the normalizer. The merge assumes them for folders that state none.

use std::time::Duration;

/// How long a row waits for the spans that it depends on (W).
pub const JOIN_WINDOW: Duration = Duration::from_secs(15);
/// How long an instance is silent before it counts as stopped.
pub const STALE_AFTER: Duration = Duration::from_secs(180);
