//! `nodes.json`: the inventory of nodes.

use super::invocations::Stage;
use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::Text;

row! {
    /// One node.
    pub struct Node<'a> {
        /// The node.
        required node_id: Text<'a>,
        /// Its stage.
        required stage: Stage,
        /// Logical CPUs.
        nullable cpu_cores: u64,
        /// Memory, MiB.
        nullable mem_mb: f64,
        /// CPU model.
        optional cpu_model: Text<'a>,
        /// CPU frequency, MHz.
        optional cpu_freq_mhz: f64,
        /// Million instructions a second and core, told by the operator.
        optional mips_per_core: f64,
        /// Single-core SHA-256 throughput measured when the service started, MiB/s.
        optional cpu_score: f64,
        /// Instruction set.
        optional arch: Text<'a>,
        /// Operating system.
        optional os: Text<'a>,
        /// Region.
        optional region: Text<'a>,
        /// Availability zone.
        optional zone: Text<'a>,
        /// Cloud provider.
        optional provider: Text<'a>,
        /// Machine id.
        optional host_id: Text<'a>,
        /// Host name.
        optional host_name: Text<'a>,
        /// Addresses.
        optional ips: Vec<Text<'a>>,
        /// Power when idle, watts.
        optional power_idle_w: f64,
        /// Power at full load, watts.
        optional power_max_w: f64,
        /// This node's clock minus the reference node's, ms.
        optional clock_offset_ms: Milliseconds,
        /// Bound of the error of clock_offset_ms, ms.
        optional clock_error_ms: Milliseconds,
    }
}
