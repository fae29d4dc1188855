//! [`StandIn`]: one process that takes the place of a recorded instance.

use plan::work::Station;

use super::placement::SLOTS_MAX;

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

impl StandIn {
    /// Number of the process's slots. `None`: as many as it needs. An instance with more than [`SLOTS_MAX`] slots gets `None`,
    /// too.
    pub fn counted_slots(&self) -> Option<u32> {
        self.station.slots.filter(|slots| *slots <= SLOTS_MAX)
    }

    /// Whether a request keeps its slot during calls to other stand-ins: `held` or `released`.
    pub fn slot_policy(&self) -> &'static str {
        if self.station.is_released {
            "released"
        } else {
            "held"
        }
    }
}
