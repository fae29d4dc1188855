//! [`Clock`]: journal time, which advances only with records; [`Windows`]: the timeouts of the pipeline.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::settings::Settings;

/// Journal time. It stands still while the normalizer is not running, because this downtime must not count as silence of the
/// senders.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Clock {
    /// Timestamp of the last record, minus all downtime before it, nanoseconds.
    pub now: u64,
    /// Total downtime, nanoseconds.
    down_ns: u64,
    /// Timestamp of the last record, nanoseconds since the Unix epoch.
    pub last_unix_ns: u64,
}

impl Clock {
    /// Advances the clock to a record. The time before a restart record is downtime. A record never moves the clock back.
    pub fn advance(&mut self, received_unix_ns: u64, is_restart: bool) {
        let received = received_unix_ns.max(self.last_unix_ns);
        if is_restart && self.last_unix_ns > 0 {
            self.down_ns += received - self.last_unix_ns;
        }
        self.last_unix_ns = received;
        self.now = received - self.down_ns;
    }
}

/// Timeouts of the settings, nanoseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Windows {
    pub join_ns: u64,
    pub stale_ns: u64,
    /// Time of silence after which a run without an end is closed.
    pub idle_ns: u64,
}

impl Windows {
    pub fn from_settings(settings: &Settings) -> Self {
        Self {
            join_ns: ns(settings.join_window),
            stale_ns: ns(settings.stale_after),
            idle_ns: ns(settings.run_idle),
        }
    }
}

/// A duration in nanoseconds. If it does not fit into 64 bits, it is a quarter of `u64::MAX`, so that sums do not overflow.
pub fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 4)
}
