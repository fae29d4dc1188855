//! The memory limit, and how it is divided among the tables.
//!
//! Memory is measured by numbers of entries and the bytes that they contain, never by the allocator. So the same rows are
//! evicted (written early) when the journal is read again.

use serde::{Deserialize, Serialize};

use super::settings::Settings;

/// Number of parts into which the limit is divided. Some tables have fixed shares. The rest is a pool for the tables that are
/// counted together: the join, the waiting rows, runs of traces, series and inventories.
const PARTS: u64 = 32;
const QUEUE_PARTS: u64 = 4;
const DEDUP_PARTS: u64 = 9;
/// Maximum fractions of the pool: for the join, and for one of the two generations of the runs of traces.
const JOIN_OF_POOL: (u64, u64) = (7, 8);
const TRACES_OF_POOL: (u64, u64) = (1, 16);
/// Maximum size of the buffers that the waiting rows keep for reuse, as a fraction of the pool: 4.75 MiB by default. They are not
/// counted in the pool, because their number differs when the journal is read again.
const SPARE_OF_POOL: (u64, u64) = (1, 32);

/// Bytes of a span in the join: its entry, its slot in the index, and one or two deadlines.
pub const JOIN_SPAN_BYTES: u64 = 160;
/// Bytes of a bucket of eight spans in the table of duplicates, with its byte in `passed`. The table grows when it is four
/// fifths full.
const DEDUP_BUCKET_BYTES: u64 = 65;
const DEDUP_SPANS_A_BUCKET: f64 = 8.0 * 0.8;
/// Bytes for the run of a trace: id and run, in a hash map that is 44 to 88% full.
pub const TRACE_BYTES: u64 = 56;
/// Bytes for the latest points of a series, and for a counter, in hash maps that are 44 to 88% full.
pub const SERIES_BYTES: u64 = 80;
pub const COUNTER_BYTES: u64 = 48;

/// Shares of the memory limit.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct MemoryShares {
    /// Maximum number of spans that are remembered to recognise duplicates.
    pub dedup_spans: usize,
    /// Maximum number of spans in the join.
    pub join_spans: usize,
    /// Maximum number of traces in one generation whose runs are remembered.
    pub traces: usize,
    /// Size of the pool, bytes.
    pub pool: u64,
}

impl MemoryShares {
    pub fn from_settings(settings: &Settings) -> Self {
        let limit = settings.memory_limit;
        let pool = limit / PARTS * (PARTS - QUEUE_PARTS - DEDUP_PARTS);
        let of_pool = |(part, parts): (u64, u64)| pool / parts * part;
        // The number of buckets is a power of two, and there is one more generation than the window has.
        let buckets = (limit / PARTS * DEDUP_PARTS / DEDUP_BUCKET_BYTES).max(1);
        let buckets = 1_u64 << buckets.ilog2();
        let spans = buckets as f64 * DEDUP_SPANS_A_BUCKET * 12.0 / 13.0;
        Self {
            dedup_spans: (spans as usize).max(1),
            join_spans: (of_pool(JOIN_OF_POOL) / JOIN_SPAN_BYTES).max(1) as usize,
            traces: (of_pool(TRACES_OF_POOL) / TRACE_BYTES).max(1) as usize,
            pool,
        }
    }

    /// Maximum size of the buffers that the waiting rows keep for reuse, bytes.
    pub fn spare_bytes(&self) -> u64 {
        let (part, parts) = SPARE_OF_POOL;
        self.pool / parts * part
    }
}

/// Maximum size of the pipeline's input queue, bytes.
pub fn queue_share(memory_limit: u64) -> u64 {
    memory_limit / PARTS * QUEUE_PARTS
}
