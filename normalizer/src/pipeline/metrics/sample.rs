//! [`Sample`]: the values of one node in one interval, and the attributes that state what a point measures.

use std::collections::{BTreeSet, HashSet};

use cctf_proto::cctf::bounded;
use cctf_proto::keys;
use cctf_proto::otlp::common::{AnyValue, Attributes};
use serde::{Deserialize, Serialize};

use super::points::Point;

/// A sample of a node to which points are still added.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    pub ts: u64,
    pub opened_at: u64,
    pub taken: HashSet<u64>,
    pub interval_ns: u64,
    /// For gauges: sum over all CPUs of the idle fraction, and of the fractions of all modes.
    pub fraction_idle: f64,
    pub fraction_all: f64,
    /// For gauges without modes: the busy fractions.
    pub busy: Vec<f64>,
    /// For counters: sum over all CPUs of the idle seconds, and of the seconds of all modes.
    pub seconds_idle: f64,
    pub seconds_all: f64,
    pub memory_available: Option<f64>,
    pub memory_used: Option<f64>,
    pub load1: Option<f64>,
    pub power: Option<f64>,
    pub energy: Option<f64>,
    pub disk_read: Option<f64>,
    pub disk_written: Option<f64>,
    pub received: Option<f64>,
    pub sent: Option<f64>,
    pub saw_network: bool,
    pub errors: Option<f64>,
    pub dropped: Option<f64>,
    pub interfaces: BTreeSet<String>,
}

/// Attribute keys, current ones first.
pub const CPU_MODES: &[&str] = &["cpu.mode", "system.cpu.state", "state"];
pub const MEMORY_STATES: &[&str] = &["system.memory.state", "state"];
pub const DIRECTIONS: &[&str] = &[
    "network.io.direction",
    "disk.io.direction",
    "system.network.io.direction",
    "system.disk.direction",
    "direction",
];
pub const DEVICES: &[&str] = &["network.interface.name", "system.device", "device"];
/// Modes that do not count as CPU use. Waiting for a disk is one of them.
pub const IDLE_MODES: &[&str] = &["idle", "iowait", "wait"];

impl Sample {
    pub fn take_utilization(&mut self, point: &Point<'_>) {
        if text_of(&point.attributes, CPU_MODES).is_none() {
            self.busy.push(point.value);
            return;
        }
        self.fraction_all += point.value;
        if is_one_of(&point.attributes, CPU_MODES, IDLE_MODES) {
            self.fraction_idle += point.value;
        }
    }

    /// 1 - (idle + iowait) / all, percent of all CPUs.
    pub fn cpu_util(&self) -> Option<f64> {
        let busy = if self.fraction_all > 0.0 {
            1.0 - self.fraction_idle / self.fraction_all
        } else if !self.busy.is_empty() {
            self.busy.iter().sum::<f64>() / self.busy.len() as f64
        } else if self.seconds_all > 0.0 {
            1.0 - self.seconds_idle / self.seconds_all
        } else {
            return None;
        };
        // Sums of received numbers may overflow.
        let percent = (busy * 100.0).clamp(0.0, 100.0);
        (!percent.is_nan()).then_some(percent)
    }

    pub fn has_host_fields(&self) -> bool {
        self.cpu_util().is_some()
            || [
                self.memory_available,
                self.memory_used,
                self.load1,
                self.disk_read,
                self.disk_written,
                self.power,
                self.energy,
            ]
            .iter()
            .any(Option::is_some)
    }
}

pub fn text_of<'a>(attributes: &Attributes<'a>, keys: &[&str]) -> Option<&'a str> {
    attributes
        .iter()
        .map_while(Result::ok)
        .find_map(|attribute| attribute.value.as_str().filter(|_| keys.contains(&attribute.key)))
        .map(bounded)
}

pub fn is_one_of(attributes: &Attributes<'_>, keys: &[&str], values: &[&str]) -> bool {
    text_of(attributes, keys).is_some_and(|text| values.contains(&text))
}

/// Whether the sender marks the interface as being at the machine's edge.
pub fn is_at_edge(attributes: &Attributes<'_>) -> bool {
    attributes.iter().map_while(Result::ok).any(|attribute| {
        attribute.key == keys::NETWORK_EDGE && matches!(attribute.value, AnyValue::Bool(true))
    })
}
