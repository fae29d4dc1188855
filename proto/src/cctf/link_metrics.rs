//! `link_metrics.jsonl`: what a network interface, or the path between two nodes, carried.

use super::invocations::Stage;
use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::Text;

row! {
    /// Rates of a link over an interval.
    pub struct LinkMetric<'a> {
        /// Time of the sample, ms since the Unix epoch; for a pair of nodes, the start of the second.
        required ts_ms: Milliseconds,
        /// The node; for a pair of nodes, the caller's.
        required node: Text<'a>,
        /// The node's stage.
        required stage: Stage,
        /// `<node>.nic`, or `<u>-><v>` for the calls that u's services made to v's.
        required link: Text<'a>,
        /// Bytes received a second.
        nullable rx_Bps: f64,
        /// Bytes sent a second.
        nullable tx_Bps: f64,
        /// The interfaces.
        optional iface: Text<'a>,
        /// Time that the rates cover, ms.
        optional interval_ms: Milliseconds,
        /// Errors in the interval.
        optional errors: u64,
        /// Packets dropped in the interval.
        optional dropped: u64,
        /// Calls that ended in the second.
        optional calls: u64,
        /// Smallest network time of these calls, ms.
        optional net_ms_min: Milliseconds,
        /// Median network time of these calls, ms.
        optional net_ms_p50: Milliseconds,
        /// 99th percentile of the network time of these calls, ms.
        optional net_ms_p99: Milliseconds,
    }
}
