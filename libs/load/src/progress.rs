//! [`DriveProgress`]: counters of one stream, which a display may read at any time.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::exchange::{LATE_NS, Sent};

/// Maximum number of refused requests (too many were waiting for a connection) that the io loop has not read yet: about 10 MiB.
/// The loop reads none while the recorder is slow.
pub const REFUSALS_MAX: u64 = 1 << 16;

/// Counters of one stream, which a progress display may read at any time.
#[derive(Debug, Default)]
pub struct DriveProgress {
    /// Requests whose scheduled time has come.
    pub due: AtomicU64,
    /// Time from the start to the last request that was due, nanoseconds.
    pub last_offset_ns: AtomicU64,
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
    /// Refused requests that the io loop has not read.
    unread: AtomicU64,
    /// Requests that ended without an exchange: they were refused while [`REFUSALS_MAX`] refusals were unread.
    pub undescribed: AtomicU64,
    /// The first reason why no further connection could be opened.
    bound: OnceLock<String>,
}

impl DriveProgress {
    /// Counts a request that is sent for the first time.
    pub fn count_sent(&self, sent: &Sent) {
        self.sent.fetch_add(1, Ordering::Relaxed);
        if sent.lateness_ns() > LATE_NS {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a refused request. Returns whether the io loop gets an exchange for it. Only one thread may call this.
    pub fn count_refused(&self) -> bool {
        let fits = self.unread.load(Ordering::Relaxed) < REFUSALS_MAX;
        let without_exchange = [&self.undescribed, &self.ended, &self.unsent, &self.failed];
        let counters = if fits {
            &[&self.unread][..]
        } else {
            &without_exchange
        };
        for counter in counters {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        fits
    }

    /// Counts that the io loop has read a refusal.
    pub fn count_read_refusal(&self) {
        self.unread.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests that were sent and have not ended.
    pub fn in_flight(&self) -> u64 {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // The counters are read one after the other while they grow, so the difference can be off by a few.
        (read(&self.sent) + read(&self.unsent)).saturating_sub(read(&self.ended))
    }

    /// Records the error with which the system refused another connection.
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
