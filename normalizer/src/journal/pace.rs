//! [`Pace`]: decides how long the committer gathers requests before it writes them as one group.

use std::time::Duration;

use super::limits::QueueUsage;

/// Minimum time between the starts of two groups. A group of any size costs about 100 us of CPU time, as much as 100 spans. A
/// client that sends less often never waits for this time.
pub const INTERVAL: Duration = Duration::from_millis(1);
/// Maximum time between the starts of two groups, under a load that fills them.
const INTERVAL_MAX: Duration = Duration::from_millis(4);
/// Minimum size of a group after which the committer waits for longer than [`INTERVAL`]. Clients that send less than this in an
/// interval would notice the delay, and the time for a write hardly matters to them.
const LARGE_BYTES: usize = 256 * 1024;
/// Size at which a group is written without further waiting. It fits into one write of the journal.
const FULL_BYTES: usize = 896 * 1024;

/// The size of the last group, which predicts the next one.
#[derive(Debug, Default)]
pub struct Pace {
    last: QueueUsage,
}

impl Pace {
    /// Call this with each group that is written.
    pub fn note(&mut self, group: QueueUsage) {
        self.last = group;
    }

    /// Whether the committer should wait for another [`INTERVAL`]. The group has grown from `before` to `now` in the last one.
    /// If it has not grown, all clients wait for their answers, and waiting would only delay them. So would it if a single
    /// client sends large requests, each after the answer to the previous one.
    pub fn waits_on(&self, waited: Duration, before: QueueUsage, now: QueueUsage) -> bool {
        let is_busy = self.last.requests > 1 && self.last.bytes >= LARGE_BYTES;
        is_busy
            && now.requests > before.requests
            && now.bytes < FULL_BYTES
            && waited + INTERVAL <= INTERVAL_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(requests: usize, bytes: usize) -> QueueUsage {
        QueueUsage { requests, bytes }
    }

    /// Number of intervals for which the committer waits if `arriving` arrives in each.
    fn intervals(last: QueueUsage, arriving: QueueUsage) -> u32 {
        let mut pace = Pace::default();
        pace.note(last);
        let (mut before, mut now) = (QueueUsage::default(), arriving);
        let mut waited = 1;
        while pace.waits_on(waited * INTERVAL, before, now) {
            before = now;
            now.requests += arriving.requests;
            now.bytes += arriving.bytes;
            waited += 1;
        }
        waited
    }

    #[test]
    fn only_a_busy_queue_is_awaited_and_only_while_it_grows() {
        let small = usage(2, 64 * 1024);
        let large = usage(2, LARGE_BYTES);
        assert_eq!(intervals(QueueUsage::default(), small), 1, "the first group");
        assert_eq!(intervals(small, small), 1);
        assert_eq!(intervals(usage(1, LARGE_BYTES), small), 1, "a single client");
        assert_eq!(intervals(large, QueueUsage::default()), 1, "all clients wait");
        assert_eq!(intervals(large, small), 4);
        assert_eq!(intervals(large, usage(2, FULL_BYTES / 2)), 2, "a full group");
    }
}
