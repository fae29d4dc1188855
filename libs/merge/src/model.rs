//! Types that all parts of a merge share: options and limits, the input, timeouts, clock offsets, counts and the summary.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use aggregate::timeouts;
use cctf_proto::cctf::{File, Milliseconds, RunMeta};
use serde::Serialize;

use crate::bucket::Bucket;
use crate::inputs::Input;
use crate::registry::NAMES_BYTES_MAX;

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Run id of the result. Required if the folders have different ones.
    pub run_id: Option<String>,
    /// Whether to convert all timestamps to the reference node's clock.
    pub align_clocks: bool,
    pub limits: Limits,
    /// Set when the user interrupts.
    pub stop: Option<&'static AtomicBool>,
}

/// Memory limits, bytes. With them, and with the buffers of partitions, chunks and files, a merge needs less than 128 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Half the maximum size of the records of one partition, whose traces are resolved together. Partitions are planned for half
    /// of this size, because smaller partitions fit the processor's cache. They may have twice this size, because traces differ
    /// in size and the number of partitions is limited. A partition with a single trace may be larger.
    pub partition_bytes: u64,
    /// Maximum size of resolved invocations that are sorted in memory. Calls can take the same size.
    pub spans_bytes: usize,
    /// Maximum size of the folders' lines that are held while they are copied in order of time.
    pub lines_bytes: usize,
    /// Maximum size of lines of any other file that are sorted in memory.
    pub samples_bytes: usize,
    /// Maximum size of the names of nodes, modules and instances.
    pub names_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            partition_bytes: 4 << 20,
            spans_bytes: 14 << 20,
            lines_bytes: 16 << 20,
            samples_bytes: 8 << 20,
            names_bytes: NAMES_BYTES_MAX,
        }
    }
}

/// The input of one pass.
#[derive(Clone, Copy)]
pub struct Source<'s> {
    pub inputs: &'s [Input],
    /// Run id of the result, if the user chose one.
    pub run_id: Option<&'s str>,
    /// Clock offset of each node, which is subtracted from its timestamps. `None` if timestamps stay as recorded.
    pub clocks: Option<&'s BTreeMap<String, Offset>>,
    /// The traces to keep; `None` for all.
    pub bucket: Option<Bucket>,
    pub limits: Limits,
    /// Set when the user interrupts.
    pub stop: Option<&'static AtomicBool>,
}

/// Times for which normalizers waited until they inferred something from missing telemetry, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The join window: time for which a row waits for the spans that it needs.
    pub join_ns: i64,
    /// The stale time: time after which an instance without telemetry counts as stopped.
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
    /// The times of the normalizer that wrote the folder.
    pub fn from_meta(row: &RunMeta<'_>) -> Self {
        let default = Self::default();
        let or = |recorded: Option<Milliseconds>, default| recorded.map_or(default, Milliseconds::as_ns);
        Self {
            join_ns: or(row.join_window_ms, default.join_ns),
            stale_ns: or(row.stale_after_ms, default.stale_ns),
        }
    }

    /// For each time, the longer one: a normalizer with a shorter time may have inferred what another one observed.
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

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Number of rows that another folder also had.
    pub duplicates: u64,
    /// Number of rows whose parent is in none of the folders.
    pub orphans: u64,
    /// Number of rows with the flag `late`.
    pub late: u64,
    /// Number of rows that were orphans in their folder and are not orphans in the result.
    pub resolved: u64,
    /// Number of incomplete lines at the ends of files.
    pub torn: u64,
    /// Invocations and calls of other buckets.
    pub skipped: u64,
    /// Number of lines that were read, by file.
    pub read: [u64; File::ALL.len()],
    /// Number of lines that were written, by file.
    pub written: [u64; File::ALL.len()],
    /// Size of the lines that were read, bytes.
    pub bytes: u64,
}

/// A field with different values in two folders.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
pub struct Conflict {
    pub file: &'static str,
    /// The name of the node, module, instance, link or run.
    pub of: String,
    pub field: String,
    /// The value in the result, as JSON.
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
    /// Number of folders that were merged.
    pub folders: u64,
    /// Number of folders whose run has not ended.
    pub open: u64,
    /// Size of the lines that were read, bytes.
    pub bytes_read: u64,
    /// Number of lines that were read, by file.
    pub rows_read: BTreeMap<&'static str, u64>,
    /// Number of lines that were written, by file.
    pub rows: BTreeMap<&'static str, u64>,
    /// Number of spans and points that were read more than once.
    pub duplicates: u64,
    /// Number of orphans whose parent was found.
    pub resolved: u64,
    /// Number of rows that are still orphans.
    pub orphans: u64,
    /// Number of incomplete lines, which were left out.
    pub torn: u64,
    /// Notes about data that the estimated CPU times of endpoints lack.
    pub cpu_notes: Vec<String>,
    /// Number of damaged lines that these estimates leave out.
    pub cpu_damaged: u64,
    /// Offset between each node's clock and the reference clock.
    pub clocks: BTreeMap<String, ClockOffset>,
    /// Whether the timestamps are aligned.
    pub aligned: bool,
    /// Number of contradictions between folders.
    pub conflicts: u64,
    /// The first contradictions.
    pub conflicts_shown: Vec<Conflict>,
}
