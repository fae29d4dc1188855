//! [`Sources`]: the sources of the numbers on the admin listener's pages.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::journal::{Journal, Signal};
use crate::receiver::Counters;
use crate::worker::Progress;

/// The signals and their names.
pub const SIGNALS: [(Signal, &str); 3] = [
    (Signal::Traces, "traces"),
    (Signal::Metrics, "metrics"),
    (Signal::Logs, "logs"),
];

pub struct Sources {
    pub counters: Arc<Counters>,
    pub journal: Journal,
    pub progress: Arc<Progress>,
    /// The folder of all runs.
    pub out_dir: PathBuf,
    pub started: Instant,
}

/// Counts since the start. Their increase is shown as a rate.
#[derive(Debug, Default, Clone, Copy)]
pub struct Totals {
    pub spans: u64,
    /// Requests of all signals.
    pub requests: u64,
    /// Rows written.
    pub rows: u64,
    /// Bytes received, after decompression.
    pub bytes: u64,
}

impl Sources {
    /// The reason why requests are refused at the moment; `None` if they are accepted.
    pub fn refusal_reason(&self) -> Option<&'static str> {
        if self.journal.is_closed() {
            return Some("shutting down\n");
        }
        self.journal.is_disk_full().then_some("the disk is full\n")
    }

    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            rows: self.progress.counters().rows_written,
            ..Totals::default()
        };
        for (signal, _) in SIGNALS {
            let counters = self.counters.signal(signal);
            totals.requests += counters.requests.load(Ordering::Relaxed);
            totals.bytes += counters.bytes.load(Ordering::Relaxed);
        }
        let traces = self.counters.signal(Signal::Traces);
        totals.spans = traces.rows.load(Ordering::Relaxed);
        totals
    }
}
