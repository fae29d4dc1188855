//! [`Backlog`]: counts the requests that wait for a connection. The pacing thread adds them, and the io loop removes them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Maximum number of requests that wait for a connection: almost a minute at 20,000 requests a second.
const REQUESTS_MAX: u64 = 1 << 20;
/// Maximum memory of the requests that wait for a connection: three seconds at 20,000 requests a second, with bodies of 8 KiB
/// that are not shared between requests. (The bodies of `cctf load` are shared.)
const BYTES_MAX: u64 = 512 << 20;

/// Requests that wait for a connection. The pacing thread adds them, and the io loop takes them out.
#[derive(Debug, Default)]
pub struct Backlog {
    requests: AtomicU64,
    bytes: AtomicU64,
}

impl Backlog {
    /// Adds a request that needs `bytes` of memory. Returns false if this would exceed a limit. Only one thread may add.
    pub fn try_add(&self, bytes: usize) -> bool {
        let bytes = bytes as u64;
        let fits = self.requests.load(Ordering::Relaxed) < REQUESTS_MAX
            && self.bytes.load(Ordering::Relaxed).saturating_add(bytes) <= BYTES_MAX;
        if fits {
            self.requests.fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        fits
    }

    /// Takes out a request that was added with the same `bytes`.
    pub fn remove(&self, bytes: usize) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backlog_is_bounded_in_requests_and_in_bytes() {
        let backlog = Backlog::default();
        assert!(backlog.try_add(BYTES_MAX as usize));
        assert!(!backlog.try_add(1));
        backlog.remove(BYTES_MAX as usize);
        for _ in 0..REQUESTS_MAX {
            assert!(backlog.try_add(1));
        }
        assert!(!backlog.try_add(0));
        backlog.remove(1);
        assert!(backlog.try_add(0));
    }
}
