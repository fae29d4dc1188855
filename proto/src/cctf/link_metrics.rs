//! `link_metrics.jsonl`: traffic of network interfaces, and of the paths between nodes.

use super::invocations::Stage;
use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::Text;

row! {
    /// Traffic of a link in one interval.
    pub struct LinkMetric<'a> {
        /// Time of the sample, ms since the Unix epoch. For a pair of nodes, the start of the second described.
        required ts_ms: Milliseconds => time,
        /// Node. For a pair of nodes, the calling node.
        required node: Text<'a> => name,
        /// Stage of the node.
        required stage: Stage => keep,
        /// `<node>.nic` for the interfaces of a node, or `<u>-><v>` for the calls from services on u to services on v.
        required link: Text<'a> => link(node),
        /// Bytes received per second.
        nullable rx_Bps: f64 => keep,
        /// Bytes sent per second.
        nullable tx_Bps: f64 => keep,
        /// Names of the interfaces.
        optional iface: Text<'a> => text,
        /// Length of the interval, ms.
        optional interval_ms: Milliseconds => keep,
        /// Errors in the interval.
        optional errors: u64 => keep,
        /// Packets dropped in the interval.
        optional dropped: u64 => keep,
        /// Calls that ended in this second.
        optional calls: u64 => keep,
        /// Minimum network time of these calls, ms.
        optional net_ms_min: Milliseconds => keep,
        /// Median network time of these calls, ms.
        optional net_ms_p50: Milliseconds => keep,
        /// 99th percentile of the network time of these calls, ms.
        optional net_ms_p99: Milliseconds => keep,
    }
}
