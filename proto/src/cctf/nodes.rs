//! `nodes.json`: the inventory of nodes.

use super::invocations::Stage;
use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::Text;

row! {
    /// One node.
    pub struct Node<'a> {
        /// Id of the node.
        required node_id: Text<'a> => name,
        /// Stage of the node.
        required stage: Stage => keep,
        /// Logical CPUs.
        nullable cpu_cores: u64 => keep,
        /// Memory size, MiB.
        nullable mem_mb: f64 => keep,
        /// CPU model.
        optional cpu_model: Text<'a> => text,
        /// CPU frequency, MHz.
        optional cpu_freq_mhz: f64 => keep,
        /// Million instructions per second and core, as configured by the operator.
        optional mips_per_core: f64 => keep,
        /// Single-core SHA-256 throughput measured when the service started, MiB/s.
        optional cpu_score: f64 => keep,
        /// Instruction set.
        optional arch: Text<'a> => known(ARCH),
        /// Operating system.
        optional os: Text<'a> => known(OS),
        /// Cloud region.
        optional region: Text<'a> => text,
        /// Cloud availability zone.
        optional zone: Text<'a> => text,
        /// Cloud provider.
        optional provider: Text<'a> => text,
        /// Machine id.
        optional host_id: Text<'a> => name,
        /// Host name.
        optional host_name: Text<'a> => name,
        /// IP addresses.
        optional ips: Vec<Text<'a>> => name,
        /// Power when idle, watts.
        optional power_idle_w: f64 => keep,
        /// Power at full load, watts.
        optional power_max_w: f64 => keep,
        /// Offset of this node's clock, ms: its time minus the time of the reference node.
        optional clock_offset_ms: Milliseconds => keep,
        /// Maximum error of clock_offset_ms, ms.
        optional clock_error_ms: Milliseconds => keep,
    }
}
