//! `host_metrics.jsonl`: one row per node and sample.

use super::invocations::Stage;
use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::Text;

row! {
    /// Use of CPUs, memory and disks of a node in one interval.
    pub struct HostMetric<'a> {
        /// Time of the sample, ms since the Unix epoch.
        required ts_ms: Milliseconds => time,
        /// Node.
        required node: Text<'a> => name,
        /// Stage of the node.
        required stage: Stage => keep,
        /// CPU usage, percent of all CPUs (0 to 100). Waiting for disks counts as idle.
        nullable cpu_util: f64 => keep,
        /// Available memory, MiB.
        nullable mem_free_mb: f64 => keep,
        /// Used memory, MiB.
        optional mem_used_mb: f64 => keep,
        /// Load average over one minute.
        optional load1: f64 => keep,
        /// Bytes read from disks per second. Partitions and volumes on a disk are not counted again.
        optional disk_read_Bps: f64 => keep,
        /// Bytes written to disks per second.
        optional disk_write_Bps: f64 => keep,
        /// Power, watts.
        optional power_w: f64 => keep,
        /// Energy since the start of the counter, joules.
        optional energy_j: f64 => keep,
        /// Length of the interval, ms.
        optional interval_ms: Milliseconds => keep,
    }
}
