//! `system_stats.jsonl`: gauges and counters of services over time.

use super::invocations::Stage;
use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::{JsonObject, Text};

row! {
    /// One value of one metric.
    pub struct SystemStat<'a> {
        /// When, ms since the Unix epoch.
        required ts_ms: Milliseconds,
        /// The node.
        required node_id: Text<'a>,
        /// The node's stage.
        required stage: Stage,
        /// The metric: `in_flight`, or the name that the telemetry gives it.
        required metric: Text<'a>,
        /// The value, in the metric's unit.
        required value: f64,
        /// The instance.
        optional instance_id: Text<'a>,
        /// The module.
        optional module_id: Text<'a>,
        /// The unit as the telemetry gives it (UCUM).
        optional unit: Text<'a>,
        /// The point's attributes, keys sorted.
        optional attributes: JsonObject<'a>,
    }
}
