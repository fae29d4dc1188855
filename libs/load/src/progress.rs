//! [`DriveProgress`]: counters of one stream, which a display may read at any time.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::exchange::{LATE_NS, Sent};

/// Counters of one stream, which a progress display may read at any time.
#[derive(Debug, Default)]
pub struct DriveProgress {
    /// Requests whose scheduled time has come.
    pub due: AtomicU64,
    /// Requests whose first bytes were passed to a socket.
    pub sent: AtomicU64,
    /// Requests that have ended.
    pub ended: AtomicU64,
    /// Ended requests that were never sent.
    pub unsent: AtomicU64,
    /// Ended requests without a status from 200 to 399.
    pub failed: AtomicU64,
    /// Sent requests whose lateness was above [`LATE_NS`].
    pub late: AtomicU64,
    /// Lateness of the request that was sent last, nanoseconds.
    pub lateness_ns: AtomicU64,
    /// The first reason why no further connection could be opened.
    bound: OnceLock<String>,
}

impl DriveProgress {
    /// Counts a request that is sent for the first time.
    pub fn count_sent(&self, sent: &Sent) {
        let lateness_ns = sent.lateness_ns();
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.lateness_ns.store(lateness_ns, Ordering::Relaxed);
        if lateness_ns > LATE_NS {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Requests that were sent and have not ended.
    pub fn in_flight(&self) -> u64 {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // The counters are read one after the other while they grow, so their difference can be off by a few.
        (read(&self.sent) + read(&self.unsent)).saturating_sub(read(&self.ended))
    }

    /// Records that the system refuses a further connection.
    pub fn bound_by(&self, connections: usize, error: &io::Error) {
        self.bound.get_or_init(|| {
            let remedy = match error.raw_os_error() {
                Some(libc::EMFILE) => "; raise `ulimit -n` of the driver",
                _ => "",
            };
            format!("maximum of {connections} connections reached: {error}{remedy}")
        });
    }

    /// The reason why there were fewer connections than requested.
    pub fn bound(&self) -> Option<&str> {
        self.bound.get().map(String::as_str)
    }
}
