//! [`StandIn`]: one process that takes the place of a recorded instance.

use plan::work::Station;

#[derive(Debug, Clone, PartialEq)]
pub struct StandIn {
    pub module: String,
    pub instance: String,
    pub app_id: Option<String>,
    pub node: String,
    pub stage: String,
    pub mips_per_core: Option<f64>,
    pub station: Station,
}
