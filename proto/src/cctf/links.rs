//! `links.json`: network interfaces, and the paths between nodes that called each other.

use super::row::row;
use super::value::{Text, one_of};

one_of! {
    /// Where a link's figures come from.
    LinkSource {
        /// Read from the device.
        Measured = "measured",
        /// Fitted to the recorded calls.
        Estimated = "estimated",
        /// Told by the operator.
        Configured = "configured",
    }
}

row! {
    /// One directed link.
    pub struct Link<'a> {
        /// From: a node.
        required u: Text<'a>,
        /// To: a node, or `<node>.net` for u's interface.
        required v: Text<'a>,
        /// Bandwidth, bits a second.
        nullable BW_bps: f64,
        /// One-way propagation delay, seconds.
        nullable PR_s: f64,
        /// Where the figures come from.
        required src: LinkSource,
        /// 99th percentile less median of the network time of calls, seconds.
        optional jitter_s: f64,
        /// Calls that the estimate rests on.
        optional samples: u64,
        /// The interface.
        optional iface: Text<'a>,
        /// Median distance of the calls from the fit, ms.
        optional fit_error_ms: f64,
    }
}
