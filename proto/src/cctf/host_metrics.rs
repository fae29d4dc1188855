//! `host_metrics.jsonl`: one row per node and sample.

use super::invocations::Stage;
use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::Text;

row! {
    /// What a node's CPUs, memory and disks did.
    pub struct HostMetric<'a> {
        /// Time of the sample, ms since the Unix epoch.
        required ts_ms: Milliseconds,
        /// The node.
        required node: Text<'a>,
        /// The node's stage.
        required stage: Stage,
        /// CPU used, percent of all CPUs, 0 to 100: what was neither idle nor waiting for disks.
        nullable cpu_util: f64,
        /// Memory that can still be used, MiB.
        nullable mem_free_mb: f64,
        /// Memory in use, MiB.
        optional mem_used_mb: f64,
        /// Load average over one minute.
        optional load1: f64,
        /// Bytes read from whole disks a second, partitions and what lies on them not counted again.
        optional disk_read_Bps: f64,
        /// Bytes written to whole disks a second.
        optional disk_write_Bps: f64,
        /// Power, watts.
        optional power_w: f64,
        /// Energy since the counter began, joules.
        optional energy_j: f64,
        /// Time that the rates cover, ms.
        optional interval_ms: Milliseconds,
    }
}
