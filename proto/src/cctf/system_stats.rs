//! `system_stats.jsonl`: gauges and counters of services over time.

use super::invocations::Stage;
use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::{JsonObject, Text};

row! {
    /// One value of one metric.
    pub struct SystemStat<'a> {
        /// Time of the value, ms since the Unix epoch.
        required ts_ms: Milliseconds => time,
        /// Node.
        required node_id: Text<'a> => name,
        /// Stage of the node.
        required stage: Stage => keep,
        /// Name of the metric: `in_flight`, or the name in the telemetry.
        required metric: Text<'a> => keep,
        /// Value, in the unit of the metric.
        required value: f64 => keep,
        /// Id of the instance.
        optional instance_id: Text<'a> => name,
        /// Id of the module.
        optional module_id: Text<'a> => name,
        /// Unit as reported (UCUM).
        optional unit: Text<'a> => keep,
        /// Attributes of the metric point, sorted by key.
        optional attributes: JsonObject<'a> => attributes,
    }
}
