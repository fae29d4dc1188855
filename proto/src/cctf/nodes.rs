//! `nodes.json`: the inventory of nodes.

use super::invocations::Stage;
use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::Text;

row! {
    /// One node.
    pub struct Node<'a> {
        /// Id of the node.
        required node_id: Text<'a>,
        /// Stage of the node.
        required stage: Stage,
        /// Logical CPUs.
        nullable cpu_cores: u64,
        /// Memory size, MiB.
        nullable mem_mb: f64,
        /// CPU model.
        optional cpu_model: Text<'a>,
        /// CPU frequency, MHz.
        optional cpu_freq_mhz: f64,
        /// Million instructions per second and core, as configured by the operator.
        optional mips_per_core: f64,
        /// Single-core SHA-256 throughput measured when the service started, MiB/s.
        optional cpu_score: f64,
        /// Instruction set.
        optional arch: Text<'a>,
        /// Operating system.
        optional os: Text<'a>,
        /// Cloud region.
        optional region: Text<'a>,
        /// Cloud availability zone.
        optional zone: Text<'a>,
        /// Cloud provider.
        optional provider: Text<'a>,
        /// Machine id.
        optional host_id: Text<'a>,
        /// Host name.
        optional host_name: Text<'a>,
        /// IP addresses.
        optional ips: Vec<Text<'a>>,
        /// Power when idle, watts.
        optional power_idle_w: f64,
        /// Power at full load, watts.
        optional power_max_w: f64,
        /// Offset of this node's clock, ms: its time minus the time of the reference node.
        optional clock_offset_ms: Milliseconds,
        /// Maximum error of clock_offset_ms, ms.
        optional clock_error_ms: Milliseconds,
    }
}
