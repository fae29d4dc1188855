//! [`Sampler`]: adds the points of one node to its open sample. For counters, it adds the change since the previous point.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::points::Point;
use super::sample::{
    CPU_MODES, DEVICES, DIRECTIONS, IDLE_MODES, MEMORY_STATES, Sample, is_at_edge, is_one_of, text_of,
};
use crate::mapping::{MetricRole, is_counted_disk, is_counted_interface};
use crate::pipeline::shared::source::Source;

/// Maximum number of counters that are remembered for each node, and maximum for all processes together. Beyond it, new counters
/// of a node are not sampled, and the counters of all processes are forgotten.
pub const COUNTERS_MAX: usize = 16_384;

/// A counter's last point.
#[derive(Debug, Serialize, Deserialize)]
struct Counted {
    time: u64,
    start: u64,
    value: f64,
}

/// The sampling of a node.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sampler {
    /// The source whose host metrics are used for the node.
    pub source: Arc<Source>,
    /// Journal time of the latest point from this source.
    pub last_heard: u64,
    counters: HashMap<u64, Counted>,
    pub sample: Option<Sample>,
}

impl Sampler {
    pub fn new(source: Arc<Source>, now: u64) -> Self {
        Self {
            source,
            last_heard: now,
            counters: HashMap::new(),
            sample: None,
        }
    }

    /// Number of counters remembered.
    pub fn counters(&self) -> usize {
        self.counters.len()
    }

    pub fn take(&mut self, role: MetricRole, point: &Point<'_>, now: u64) {
        let sample = self.sample.get_or_insert_with(|| Sample {
            ts: point.time,
            opened_at: now,
            ..Sample::default()
        });
        sample.ts = sample.ts.max(point.time);
        sample.taken.insert(point.series);
        let value = point.value;
        match role {
            MetricRole::CpuUtilization => sample.take_utilization(point),
            MetricRole::MemoryAvailable => sample.memory_available = Some(value),
            MetricRole::MemoryUsage if is_one_of(&point.attributes, MEMORY_STATES, &["used"]) => {
                sample.memory_used = Some(value);
            }
            MetricRole::Load1 => sample.load1 = Some(value),
            MetricRole::Power => sample.power = Some(value),
            MetricRole::Energy => sample.energy = Some(value),
            MetricRole::CpuTime
            | MetricRole::DiskIo
            | MetricRole::NetworkIo
            | MetricRole::NetworkErrors
            | MetricRole::NetworkDropped => self.take_counter(role, point),
            _ => {}
        }
    }

    /// The change of a counter since its previous point, and the nanoseconds between them. `None` for a first point, and after
    /// a reset.
    fn growth(&mut self, point: &Point<'_>) -> Option<(f64, u64)> {
        if !self.counters.contains_key(&point.series) && self.counters.len() >= COUNTERS_MAX {
            return None;
        }
        let counted = Counted {
            time: point.time,
            start: point.start,
            value: point.value,
        };
        let before = self.counters.insert(point.series, counted);
        if point.is_delta {
            let from = if point.start > 0 {
                point.start
            } else {
                before?.time
            };
            let ns = point.time.checked_sub(from).filter(|&ns| ns > 0)?;
            return Some((point.value, ns));
        }
        let before = before?;
        let ns = point.time.checked_sub(before.time).filter(|&ns| ns > 0)?;
        (point.start == before.start && point.value >= before.value)
            .then_some((point.value - before.value, ns))
    }

    fn take_counter(&mut self, role: MetricRole, point: &Point<'_>) {
        let device = text_of(&point.attributes, DEVICES).unwrap_or_default();
        let is_counted = match role {
            MetricRole::DiskIo => is_counted_disk(device),
            MetricRole::CpuTime => true,
            _ => is_counted_interface(device) || is_at_edge(&point.attributes),
        };
        if !is_counted {
            return;
        }
        if let (Some(sample), MetricRole::NetworkIo) = (self.sample.as_mut(), role) {
            sample.saw_network = true;
            if !device.is_empty() {
                sample.interfaces.insert(device.to_owned());
            }
        }
        let growth = self.growth(point);
        let (Some((growth, ns)), Some(sample)) = (growth, self.sample.as_mut()) else {
            return;
        };
        sample.interval_ns = sample.interval_ns.max(ns);
        let seconds = ns as f64 / 1e9;
        let add = |field: &mut Option<f64>, more: f64| *field = Some(field.unwrap_or(0.0) + more);
        let direction = text_of(&point.attributes, DIRECTIONS);
        match (role, direction) {
            (MetricRole::CpuTime, _) => {
                sample.seconds_all += growth;
                if is_one_of(&point.attributes, CPU_MODES, IDLE_MODES) {
                    sample.seconds_idle += growth;
                }
            }
            (MetricRole::DiskIo, Some("read")) => add(&mut sample.disk_read, growth / seconds),
            (MetricRole::DiskIo, Some("write")) => add(&mut sample.disk_written, growth / seconds),
            (MetricRole::NetworkIo, Some("receive")) => add(&mut sample.received, growth / seconds),
            (MetricRole::NetworkIo, Some("transmit")) => add(&mut sample.sent, growth / seconds),
            (MetricRole::NetworkErrors, _) => add(&mut sample.errors, growth),
            (MetricRole::NetworkDropped, _) => add(&mut sample.dropped, growth),
            _ => {}
        }
    }
}
