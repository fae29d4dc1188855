//! The clock for all timestamps. It reads the wall clock once, at the start, and adds the time that has passed on the monotonic
//! clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Number of wall clock readings at the start. The one whose surrounding monotonic readings are closest becomes the anchor.
const ANCHOR_TRIES: usize = 16;

/// Timestamps in nanoseconds since the Unix epoch that never decrease within this process.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    anchor: Instant,
    anchor_unix_ns: u64,
}

impl Clock {
    /// Anchors the monotonic clock to the current wall clock.
    pub fn start() -> Self {
        let mut best: Option<(Duration, Self)> = None;
        for _ in 0..ANCHOR_TRIES {
            let before = Instant::now();
            let wall = SystemTime::now();
            let spread = before.elapsed();
            let anchor_unix_ns = unix_ns(wall);
            if best.as_ref().is_none_or(|(least, _)| spread < *least) {
                best = Some((
                    spread,
                    Self {
                        anchor: before + spread / 2,
                        anchor_unix_ns,
                    },
                ));
            }
        }
        best.map_or_else(
            || Self {
                anchor: Instant::now(),
                anchor_unix_ns: unix_ns(SystemTime::now()),
            },
            |b| b.1,
        )
    }

    /// Nanoseconds since the Unix epoch.
    pub fn now_ns(&self) -> u64 {
        self.anchor_unix_ns
            .saturating_add(saturating_ns(self.anchor.elapsed()))
    }

    /// Difference between the wall clock and this clock, for example after a clock step or a suspend.
    /// Subtracting it converts a wall clock timestamp to this clock.
    pub fn wall_minus_this_ns(&self) -> i128 {
        i128::from(unix_ns(SystemTime::now())) - i128::from(self.now_ns())
    }
}

/// Converts a timestamp for the SDK.
pub fn system_time(unix_ns: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(unix_ns)
}

/// Nanoseconds since the Unix epoch; 0 for earlier times.
pub fn unix_ns(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, saturating_ns)
}

pub fn saturating_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_near_the_wall_clock_and_never_decrease() {
        // Allows for an inexact anchor, and for corrections of the wall clock after the start.
        const TOLERANCE_NS: u64 = 1_000_000_000;
        let before = unix_ns(SystemTime::now());
        let clock = Clock::start();
        let mut last = clock.now_ns();
        let after = unix_ns(SystemTime::now());
        assert!((before - TOLERANCE_NS..=after + TOLERANCE_NS).contains(&last));
        for _ in 0..10_000 {
            let now = clock.now_ns();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn a_timestamp_survives_the_conversion_to_system_time() {
        assert_eq!(
            unix_ns(system_time(1_760_000_000_123_456_789)),
            1_760_000_000_123_456_789
        );
    }
}
