//! Types that all parts of a merge share: options and limits, the input, timeouts, clock offsets, counts and the summary.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aggregate::timeouts;
use cctf_proto::cctf::{File, Milliseconds, RunMeta};
use serde::Serialize;

use crate::inputs::Input;

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Run id of the result. Required if the folders have different ones.
    pub run_id: Option<String>,
    /// Whether to convert all timestamps to the reference node's clock.
    pub align_clocks: bool,
    pub limits: Limits,
}

/// Memory limits, in bytes. Together with the buffers of partitions, chunks and files a merge stays below 128 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Records of one partition of traces, which are resolved together. Partitions are planned with half this size, because
    /// smaller ones fit the processor's cache. Twice this size is accepted, because traces differ in size and the number of
    /// partitions is limited.
    pub partition_bytes: u64,
    /// Resolved invocations sorted at once, and the same again for calls.
    pub spans_bytes: usize,
    /// Lines of the folders that are held while they are copied in the order of time.
    pub lines_bytes: usize,
    /// Lines of any other file that are sorted at once.
    pub samples_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            partition_bytes: 4 << 20,
            spans_bytes: 14 << 20,
            lines_bytes: 16 << 20,
            samples_bytes: 8 << 20,
        }
    }
}

/// The input of one pass.
#[derive(Clone, Copy)]
pub struct Source<'s> {
    pub inputs: &'s [Input],
    /// Run id of the result, if it was set explicitly.
    pub run_id: Option<&'s str>,
    /// Offsets to subtract from each node's timestamps; `None` if timestamps stay as recorded.
    pub clocks: Option<&'s BTreeMap<String, Offset>>,
    pub limits: Limits,
}

/// Times that normalizers waited before they inferred something from silence, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// How long a row waits for the spans that it depends on.
    pub join_ns: i64,
    /// How long an instance is silent before it counts as stopped.
    pub stale_ns: i64,
}

impl Default for Timeouts {
    fn default() -> Self {
        let ns = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self {
            join_ns: ns(timeouts::JOIN_WINDOW),
            stale_ns: ns(timeouts::STALE_AFTER),
        }
    }
}

impl Timeouts {
    /// Those of the normalizer that wrote the folder.
    pub fn from_meta(row: &RunMeta<'_>) -> Self {
        let default = Self::default();
        let or = |recorded: Option<Milliseconds>, default| recorded.map_or(default, Milliseconds::as_ns);
        Self {
            join_ns: or(row.join_window_ms, default.join_ns),
            stale_ns: or(row.stale_after_ms, default.stale_ns),
        }
    }

    /// The longer of each: a normalizer with a shorter timeout may have inferred what another one observed.
    pub fn longer(self, other: Self) -> Self {
        Self {
            join_ns: self.join_ns.max(other.join_ns),
            stale_ns: self.stale_ns.max(other.stale_ns),
        }
    }
}

/// Estimated offset of a node's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offset {
    /// The node's clock minus the reference's, nanoseconds.
    pub ns: i64,
    /// Bound of the error, nanoseconds.
    pub error_ns: i64,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    /// Rows that another folder also had.
    pub duplicates: u64,
    /// Rows whose parent is in none of the folders.
    pub orphans: u64,
    /// Rows flagged late.
    pub late: u64,
    /// Rows that were orphans in their folder and no longer are.
    pub resolved: u64,
    /// Incomplete lines at the ends of files.
    pub torn: u64,
    /// Lines read, by file.
    pub read: [u64; File::ALL.len()],
    /// Lines written, by file.
    pub written: [u64; File::ALL.len()],
    /// Bytes of the lines read.
    pub bytes: u64,
}

/// A field with different values in two folders.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Conflict {
    pub file: &'static str,
    /// The node, module, instance, link or run.
    pub of: String,
    pub field: String,
    /// The value that the result has, as JSON.
    pub kept: String,
    /// The other value, as JSON.
    pub dropped: String,
}

/// Estimated offset of a node's clock, in the summary's unit.
#[derive(Debug, Clone, Serialize)]
pub struct ClockOffset {
    /// The node's clock minus the reference's, ms.
    pub offset_ms: f64,
    /// Bound of the error, ms.
    pub error_ms: f64,
}

impl From<&Offset> for ClockOffset {
    fn from(offset: &Offset) -> Self {
        Self {
            offset_ms: offset.ns as f64 / 1e6,
            error_ms: offset.error_ns as f64 / 1e6,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Path of the result.
    pub out: PathBuf,
    pub run_id: String,
    /// Number of folders merged.
    pub folders: u64,
    /// Number of folders whose run has not ended.
    pub open: u64,
    /// Bytes of the lines read.
    pub bytes_read: u64,
    /// Lines read, by file.
    pub rows_read: BTreeMap<&'static str, u64>,
    /// Lines written, by file.
    pub rows: BTreeMap<&'static str, u64>,
    /// Spans and points that were read more than once.
    pub duplicates: u64,
    /// Orphans whose parent was found.
    pub resolved: u64,
    /// Rows that are still orphans.
    pub orphans: u64,
    /// Incomplete lines left out.
    pub torn: u64,
    /// What the regressed CPU times of endpoints lack.
    pub cpu_notes: Vec<String>,
    /// Number of damaged lines that these CPU times leave out.
    pub cpu_damaged: u64,
    /// Offset of each node's clock from the reference's.
    pub clocks: BTreeMap<String, ClockOffset>,
    /// Whether the timestamps are aligned.
    pub aligned: bool,
    /// Number of contradictions between folders.
    pub conflicts: u64,
    /// The first of them.
    pub conflicts_shown: Vec<Conflict>,
}
