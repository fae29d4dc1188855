//! The memory limit: how it is shared out, what the tables take of it, and what leaves when it is reached.
//!
//! All is counted by entries and by the bytes that they hold, never by what an allocator says: what leaves is then the same
//! whenever the journal is read again.

use serde::{Deserialize, Serialize};

use super::output::Output;
use super::runs::{Run, Runs};
use super::{Pipeline, Settings};
use aggregate::links::LinkStats;
use aggregate::modules::ModuleStats;

/// Parts of the limit, of 32. The rest is the pool of what is counted together: the join, the rows that wait, traces'
/// runs, series and inventories.
const PARTS: u64 = 32;
const QUEUE_PARTS: u64 = 4;
const DEDUP_PARTS: u64 = 9;
/// Of the pool, in parts of it: what the join alone may take, and one of the two generations of traces' runs.
const JOIN_OF_POOL: (u64, u64) = (7, 8);
const TRACES_OF_POOL: (u64, u64) = (1, 16);

/// A span in the join: its entry, its place in the index, and one or two deadlines.
pub const JOIN_SPAN_BYTES: u64 = 160;
/// A bucket of eight spans in the table of copies, with its mark; it is filled to four fifths before it grows.
const DEDUP_BUCKET_BYTES: u64 = 65;
const DEDUP_SPANS_A_BUCKET: f64 = 8.0 * 0.8;
/// A trace's run: id and run in a hash map that is 44 to 88% full.
const TRACE_BYTES: u64 = 56;
/// A series' latest points in a hash map that is 44 to 88% full, and a counter likewise.
const SERIES_BYTES: u64 = 80;
const COUNTER_BYTES: u64 = 48;

/// Shares of the memory limit.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct MemoryShares {
    /// Spans remembered for their copies.
    pub dedup_spans: usize,
    /// Spans in the join.
    pub join_spans: usize,
    /// Traces of one generation whose runs are known.
    pub traces: usize,
    /// Bytes of the pool.
    pool: u64,
}

impl MemoryShares {
    /// How the settings' limit is shared out.
    pub fn of(settings: &Settings) -> Self {
        let limit = settings.memory_limit;
        let pool = limit / PARTS * (PARTS - QUEUE_PARTS - DEDUP_PARTS);
        let of_pool = |(part, parts): (u64, u64)| pool / parts * part;
        // A table has a power of two of buckets, and one generation more than the window has.
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
}

/// A run's fixed part, and one of its entries.
const RUN_BYTES: u64 = 2048;
const ENTRY_BYTES: u64 = 64;

impl Runs {
    /// What they take, in bytes.
    fn bytes(&self) -> u64 {
        let of = |run: &Run| {
            let entries = run.nodes.len()
                + run.interfaces.len()
                + run.announced.len()
                + run.external_calls.len()
                + run.modules_by_peer.len();
            RUN_BYTES
                + entries as u64 * ENTRY_BYTES
                + run.modules.values().map(ModuleStats::bytes).sum::<u64>()
                + run.links.values().map(LinkStats::bytes).sum::<u64>()
        };
        self.slots.iter().flatten().map(of).sum()
    }
}

/// Bytes that the queue in front of the pipeline may take of this limit.
pub fn queue_share(memory_limit: u64) -> u64 {
    memory_limit / PARTS * QUEUE_PARTS
}

impl Pipeline {
    /// What each table takes, in bytes.
    pub(super) fn memory(&self) -> [(&'static str, u64); 5] {
        [
            ("copies", self.seen.table_bytes()),
            ("join", self.join.len() as u64 * JOIN_SPAN_BYTES),
            ("rows", self.held.bytes()),
            (
                "traces",
                (self.traces.len() + self.crossings.len()) as u64 * TRACE_BYTES,
            ),
            ("inventories", self.inventory_bytes),
        ]
    }

    /// Counts anew what changes slowly.
    pub(super) fn count_inventories(&mut self) {
        let counters = self.process_cpu.len() + self.samplers.counters();
        self.inventory_bytes = self.series.len() as u64 * SERIES_BYTES
            + counters as u64 * COUNTER_BYTES
            + self.sources.bytes()
            + self.endpoints.bytes()
            + self.peers.bytes()
            + self.runs.bytes();
    }

    fn pool_used(&self) -> u64 {
        self.join.len() as u64 * JOIN_SPAN_BYTES
            + self.held.bytes()
            + (self.traces.len() + self.crossings.len()) as u64 * TRACE_BYTES
            + self.inventory_bytes
    }

    /// Lets the oldest rows go, as far as they are known, while the pool is overdrawn.
    pub(super) fn make_room(&mut self, output: &mut Output) {
        while self.pool_used() > self.shares.pool {
            let Some(row) = self.held.pop_oldest() else {
                return;
            };
            self.totals.evicted += u64::from(self.held.has_line(row));
            if let Some(entry) = self.held.awaited_entry(row) {
                self.join.give_up(entry, row);
                self.write_settled(output);
            }
            if self.held.leave_trace(row) {
                self.write_by_fallback(row, output);
            }
        }
    }
}
