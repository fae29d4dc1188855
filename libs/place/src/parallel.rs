//! [`on_all_cores`]: one job for each item, on several threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Maximum number of visits that all threads simulate at the same time. A visit with its calls takes some 500 bytes, so this
/// needs 4 GB.
const VISITS_AT_ONCE_MAX: usize = 8_000_000;

/// Gets the number of jobs that have finished since its last call. Returns false to stop.
pub type Progress<'a> = &'a (dyn Fn(usize) -> bool + Sync);

/// Number of threads: fewer than wanted if the loads are large.
pub fn threads_for(visits: usize, threads: usize) -> usize {
    threads.min(VISITS_AT_ONCE_MAX / visits.max(1)).max(1)
}

/// The results in the order of the items. `None` if `progress` returned false.
pub fn on_all_cores<T: Sync, R: Send + Sync>(
    items: &[T],
    threads: usize,
    each: impl Fn(&T) -> R + Sync,
    progress: Progress<'_>,
) -> Option<Vec<R>> {
    let results: Vec<OnceLock<R>> = items.iter().map(|_| OnceLock::new()).collect();
    let (next, is_stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        while !is_stopped.load(Ordering::Relaxed) {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let (Some(item), Some(result)) = (items.get(place), results.get(place)) else {
                return;
            };
            result.get_or_init(|| each(item));
            if !progress(1) {
                is_stopped.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.clamp(1, items.len().max(1)) {
            scope.spawn(work);
        }
        work();
    });
    results.into_iter().map(OnceLock::into_inner).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..1_000).collect();
        let found = on_all_cores(&items, 4, |item| item * 2, &|_| true);
        assert_eq!(found, Some(items.iter().map(|item| item * 2).collect()));
        assert_eq!(
            on_all_cores(&[] as &[u64], 4, |item| *item, &|_| true),
            Some(Vec::new())
        );
    }

    #[test]
    fn a_stop_gives_no_results() {
        assert_eq!(on_all_cores(&[1, 2, 3], 1, |item| *item, &|_| false), None);
    }

    #[test]
    fn large_loads_get_fewer_threads() {
        let threads = [0, 1_000, 4_000_000, 9_000_000].map(|visits| threads_for(visits, 64));
        assert_eq!(threads, [64, 64, 2, 1]);
    }
}
