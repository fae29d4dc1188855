//! The clock for the arrival times of records.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Returns nanoseconds since the Unix epoch.
pub type Clock = Box<dyn Fn() -> u64 + Send + Sync>;

/// The wall clock, but never before `floor`. The wall clock may be set back, or be behind the last timestamp before a restart.
/// Time then continues from the latest timestamp, at the rate of the monotonic clock. It must not stand still, because windows
/// close when this time reaches their end.
pub fn wall_clock(floor: u64) -> Clock {
    let begin = Instant::now();
    steady(floor, unix_ns, move || begin.elapsed())
}

fn unix_ns() -> u64 {
    ns(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn steady(
    floor: u64,
    wall: impl Fn() -> u64 + Send + Sync + 'static,
    running: impl Fn() -> Duration + Send + Sync + 'static,
) -> Clock {
    let last = Mutex::new((floor, running()));
    Box::new(move || {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        let (wall, running) = (wall(), running());
        let continued = last.0.saturating_add(ns(running.saturating_sub(last.1)));
        *last = (wall.max(continued), running);
        last.0
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;

    #[test]
    fn a_wall_clock_that_is_set_back_continues_at_the_monotonic_pace() {
        let [wall, running] = [500, 0].map(|start| Arc::new(AtomicU64::new(start)));
        let (set_wall, run) = (Arc::clone(&wall), Arc::clone(&running));
        let clock = steady(
            1_000,
            move || wall.load(Relaxed),
            move || Duration::from_nanos(running.load(Relaxed)),
        );
        let mut timestamps = Vec::new();
        // Below the floor after a restart; above the floor; set back by far; ahead again.
        for (wall, running) in [(500, 0), (510, 10), (2_000, 20), (30, 30), (35, 45), (2_030, 50)] {
            set_wall.store(wall, Relaxed);
            run.store(running, Relaxed);
            timestamps.push(clock());
        }
        assert_eq!(timestamps, [1_000, 1_010, 2_000, 2_010, 2_025, 2_030]);
    }
}
