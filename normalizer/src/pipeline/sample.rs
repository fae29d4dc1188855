//! [`Sample`]: what the points of one node and interval tell, and which attributes tell it.

use std::collections::{BTreeSet, HashSet};

use cctf_proto::cctf::bounded;
use cctf_proto::keys;
use cctf_proto::otlp::common::{AnyValue, Attributes};
use serde::{Deserialize, Serialize};

use super::points::Point;

/// One sample of a node, as far as it has come.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) ts: u64,
    pub(super) opened_at: u64,
    pub(super) taken: HashSet<u64>,
    pub(super) interval_ns: u64,
    /// Sums over CPUs of the fractions idle and of all modes, from the gauge.
    pub(super) fraction_idle: f64,
    pub(super) fraction_all: f64,
    /// Busy fractions of a gauge without modes.
    pub(super) busy: Vec<f64>,
    /// Sums over CPUs of the seconds idle and of all modes, from the counter.
    pub(super) seconds_idle: f64,
    pub(super) seconds_all: f64,
    pub(super) memory_available: Option<f64>,
    pub(super) memory_used: Option<f64>,
    pub(super) load1: Option<f64>,
    pub(super) power: Option<f64>,
    pub(super) energy: Option<f64>,
    pub(super) disk_read: Option<f64>,
    pub(super) disk_written: Option<f64>,
    pub(super) received: Option<f64>,
    pub(super) sent: Option<f64>,
    pub(super) saw_network: bool,
    pub(super) errors: Option<f64>,
    pub(super) dropped: Option<f64>,
    pub(super) interfaces: BTreeSet<String>,
}

/// Attribute keys, current and older.
pub(super) const CPU_MODES: &[&str] = &["cpu.mode", "system.cpu.state", "state"];
pub(super) const MEMORY_STATES: &[&str] = &["system.memory.state", "state"];
pub(super) const DIRECTIONS: &[&str] = &[
    "network.io.direction",
    "disk.io.direction",
    "system.network.io.direction",
    "system.disk.direction",
    "direction",
];
pub(super) const DEVICES: &[&str] = &["network.interface.name", "system.device", "device"];
/// Waiting for a disk is not use of a CPU.
pub(super) const IDLE_MODES: &[&str] = &["idle", "iowait", "wait"];

impl Sample {
    pub(super) fn take_utilization(&mut self, point: &Point<'_>) {
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
    pub(super) fn cpu_util(&self) -> Option<f64> {
        let busy = if self.fraction_all > 0.0 {
            1.0 - self.fraction_idle / self.fraction_all
        } else if !self.busy.is_empty() {
            self.busy.iter().sum::<f64>() / self.busy.len() as f64
        } else if self.seconds_all > 0.0 {
            1.0 - self.seconds_idle / self.seconds_all
        } else {
            return None;
        };
        // The numbers of the wire may add up to more than a double holds.
        let percent = (busy * 100.0).clamp(0.0, 100.0);
        (!percent.is_nan()).then_some(percent)
    }

    pub(super) fn has_host_fields(&self) -> bool {
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

pub(super) fn text_of<'a>(attributes: &Attributes<'a>, keys: &[&str]) -> Option<&'a str> {
    attributes
        .iter()
        .map_while(Result::ok)
        .find_map(|attribute| attribute.value.as_str().filter(|_| keys.contains(&attribute.key)))
        .map(bounded)
}

pub(super) fn is_one_of(attributes: &Attributes<'_>, keys: &[&str], values: &[&str]) -> bool {
    text_of(attributes, keys).is_some_and(|text| values.contains(&text))
}

/// Whether the sender knows the interface as one at the machine's edge.
pub(super) fn is_at_edge(attributes: &Attributes<'_>) -> bool {
    attributes.iter().map_while(Result::ok).any(|attribute| {
        attribute.key == keys::NETWORK_EDGE && matches!(attribute.value, AnyValue::Bool(true))
    })
}
