//! Counts of this process that metrics and the admin listener tell.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::endpoints::ENDPOINTS;

/// Places for requests that match no endpoint.
const OTHER: usize = ENDPOINTS.len();
/// Status classes 1xx to 5xx.
const CLASSES: usize = 5;

/// The counts; every one only grows, except those in flight.
#[derive(Debug, Default)]
pub struct Stats {
    active: [AtomicI64; OTHER + 1],
    finished: [[AtomicU64; CLASSES]; OTHER + 1],
    /// Requests answered 503 because the queue was full.
    pub queue_full: AtomicU64,
    /// Requests answered 413 because their body was too large to be read.
    pub body_too_large: AtomicU64,
    /// Requests answered 508.
    pub loops: AtomicU64,
    /// Next hops that were not allowed or could not be.
    pub next_refused: AtomicU64,
    /// Next hops that were called and failed.
    pub next_failed: AtomicU64,
    /// Run ids in baggage that cannot be one.
    pub run_ids_refused: AtomicU64,
}

/// A request in flight; it is counted as long as this lives.
#[derive(Debug)]
pub struct Active {
    stats: Arc<Stats>,
    place: usize,
}

impl Stats {
    /// Counts a request in, by its endpoint's place in the table.
    pub fn enter(self: &Arc<Self>, endpoint: Option<usize>) -> Active {
        let place = endpoint.unwrap_or(OTHER).min(OTHER);
        self.active[place].fetch_add(1, Ordering::Relaxed);
        Active {
            stats: self.clone(),
            place,
        }
    }

    /// Requests in flight.
    pub fn active(&self) -> i64 {
        self.active
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .sum()
    }

    /// Requests in flight by method of their endpoint; those that match none are told as `_OTHER`.
    pub fn active_by_method(&self) -> [(&'static str, i64); 3] {
        let mut sums = [("GET", 0), ("POST", 0), ("_OTHER", 0)];
        for (place, count) in self.active.iter().enumerate() {
            let method = ENDPOINTS.get(place).map_or("_OTHER", |endpoint| endpoint.method);
            for sum in sums.iter_mut().filter(|sum| sum.0 == method) {
                sum.1 += count.load(Ordering::Relaxed);
            }
        }
        sums
    }

    /// Finished requests: method and route of the endpoint, class of the status (2 for 2xx), count; zeros left out.
    pub fn finished(&self) -> impl Iterator<Item = (&'static str, &'static str, usize, u64)> + '_ {
        self.finished.iter().enumerate().flat_map(|(place, classes)| {
            let (method, route) = ENDPOINTS
                .get(place)
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
    /// Counts how the request ended.
    pub fn finished(&self, status: u16) {
        let class = usize::from(status / 100).clamp(1, CLASSES) - 1;
        self.stats.finished[self.place][class].fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.stats.active[self.place].fetch_sub(1, Ordering::Relaxed);
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
