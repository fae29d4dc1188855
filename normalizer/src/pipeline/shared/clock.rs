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

/// Maximum of a timeout, nanoseconds: nine years. Eight times this maximum, added to the time of today, still fits into 64
/// bits. The pipeline multiplies timeouts by at most eight.
const TIMEOUT_MAX_NS: u64 = u64::MAX / 64;

/// A duration of the settings in nanoseconds, at most [`TIMEOUT_MAX_NS`].
pub fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).map_or(TIMEOUT_MAX_NS, |ns| ns.min(TIMEOUT_MAX_NS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_times_any_timeout_can_be_added_to_the_time_of_a_record() {
        let long = [
            Duration::MAX,
            Duration::from_nanos(u64::MAX),
            Duration::from_nanos(u64::MAX / 3),
        ];
        for duration in long {
            let settings = Settings {
                join_window: duration,
                stale_after: duration,
                run_idle: duration,
                ..Settings::default()
            };
            let windows = Windows::from_settings(&settings);
            // The last second of the year 2199.
            let now = 7_258_118_399_000_000_000_u64;
            for ns in [windows.join_ns, windows.stale_ns, windows.idle_ns] {
                assert!(
                    ns.checked_mul(8).and_then(|ns| ns.checked_add(now)).is_some(),
                    "{duration:?}"
                );
            }
        }
        assert_eq!(ns(Duration::from_secs(15)), 15_000_000_000);
    }
}
