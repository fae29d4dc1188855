//! Counters that metrics and the admin listener report.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::endpoints::ENDPOINTS;

/// Index for requests that match no endpoint.
const OTHER: usize = ENDPOINTS.len();
/// Status classes 1xx to 5xx.
const CLASSES: usize = 5;

/// Counters. All of them only increase, except the number of requests in progress.
#[derive(Debug, Default)]
pub struct Stats {
    active: [AtomicI64; OTHER + 1],
    finished: [[AtomicU64; CLASSES]; OTHER + 1],
    pub queue_full: AtomicU64,
    pub body_too_large: AtomicU64,
    /// Requests that exceeded HOP_LIMIT.
    pub loops: AtomicU64,
    /// Next hops that were invalid or not allowed.
    pub next_refused: AtomicU64,
    /// Calls to next hops that failed.
    pub next_failed: AtomicU64,
    /// Invalid run ids in baggage.
    pub run_ids_refused: AtomicU64,
}

/// Counts a request as in progress until it is dropped.
#[derive(Debug)]
pub struct Active {
    stats: Arc<Stats>,
    index: usize,
}

impl Stats {
    /// Counts a request as in progress; `endpoint` is the index in the table.
    pub fn enter(self: &Arc<Self>, endpoint: Option<usize>) -> Active {
        let index = endpoint.unwrap_or(OTHER).min(OTHER);
        self.active[index].fetch_add(1, Ordering::Relaxed);
        Active {
            stats: self.clone(),
            index,
        }
    }

    /// Requests in progress.
    pub fn active(&self) -> i64 {
        self.active
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }

    /// Requests in progress by method of their endpoint; `_OTHER` if they match none.
    pub fn active_by_method(&self) -> [(&'static str, i64); 3] {
        let mut sums = [("GET", 0), ("POST", 0), ("_OTHER", 0)];
        for (index, count) in self.active.iter().enumerate() {
            let method = ENDPOINTS.get(index).map_or("_OTHER", |endpoint| endpoint.method);
            for sum in sums.iter_mut().filter(|sum| sum.0 == method) {
                sum.1 += count.load(Ordering::Relaxed);
            }
        }
        sums
    }

    /// Finished requests: method and route of the endpoint, status class (2 for 2xx), count. Zeros are left out.
    pub fn finished(&self) -> impl Iterator<Item = (&'static str, &'static str, usize, u64)> + '_ {
        self.finished.iter().enumerate().flat_map(|(index, classes)| {
            let (method, route) = ENDPOINTS
                .get(index)
                .map_or(("_OTHER", "other"), |endpoint| (endpoint.method, endpoint.route));
            let counts = classes
                .iter()
                .map(|count| count.load(Ordering::Relaxed))
                .enumerate();
            counts
                .filter(|(_, count)| *count > 0)
                .map(move |(class, count)| (method, route, class + 1, count))
        })
    }
}

impl Active {
    /// Counts the request by its status class.
    pub fn finished(&self, status: u16) {
        let class = usize::from(status / 100).clamp(1, CLASSES) - 1;
        self.stats.finished[self.index][class].fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.stats.active[self.index].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_active_until_it_is_dropped() {
        let stats = Arc::new(Stats::default());
        let (one, other) = (stats.enter(Some(0)), stats.enter(None));
        assert_eq!(stats.active(), 2);
        assert_eq!(stats.active_by_method(), [("GET", 0), ("POST", 1), ("_OTHER", 1)]);
        one.finished(200);
        other.finished(404);
        drop((one, other));
        assert_eq!(stats.active(), 0);
        let finished: Vec<_> = stats.finished().collect();
        assert_eq!(
            finished,
            [("POST", "/json/validate", 2, 1), ("_OTHER", "other", 4, 1)]
        );
    }
}
