//! `links.json`: network interfaces, and the paths between nodes that called each other.

use super::row::row;
use super::value::{Text, one_of};

one_of! {
    /// Source of a link's figures.
    LinkSource {
        /// Read from the network device.
        Measured = "measured",
        /// Estimated from recorded calls.
        Estimated = "estimated",
        /// Configured by the operator.
        Configured = "configured",
    }
}

row! {
    /// One directed link.
    pub struct Link<'a> {
        /// Node at which the link starts.
        required u: Text<'a> => name,
        /// Node at which the link ends, or `<u>.net` for an interface of u.
        required v: Text<'a> => link(u),
        /// Bandwidth, bits per second.
        nullable BW_bps: f64 => keep,
        /// One-way propagation delay, seconds.
        nullable PR_s: f64 => keep,
        /// Source of the figures.
        required src: LinkSource => keep,
        /// 99th percentile minus median of the network times of calls, seconds.
        optional jitter_s: f64 => keep,
        /// Number of calls behind the estimate.
        optional samples: u64 => keep,
        /// Name of the interface.
        optional iface: Text<'a> => text,
        /// Median distance of the calls from the fitted line, ms.
        optional fit_error_ms: f64 => keep,
    }
}
