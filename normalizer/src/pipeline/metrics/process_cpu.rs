//! [`ProcessCpu`]: CPU time of processes. It gives the mean CPU time of an invocation for modules whose spans do not report it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::points::Point;
use super::sampler::COUNTERS_MAX;
use crate::pipeline::shared::Shared;
use crate::pipeline::shared::source::Source;

/// Last CPU time of each process's series, nanoseconds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ProcessCpu(HashMap<u64, u64>);

impl ProcessCpu {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds the increase since the last point to the statistics of the source's module, in all open runs.
    pub fn take(&mut self, point: &Point<'_>, source: &Source, shared: &mut Shared) {
        let Some(instance) = source.instance else { return };
        let ns = (point.value * 1e9).max(0.0) as u64;
        if self.0.len() >= COUNTERS_MAX && !self.0.contains_key(&point.series) {
            self.0.clear();
        }
        let growth = match self.0.insert(point.series, ns) {
            Some(before) if !point.is_delta => ns.saturating_sub(before),
            _ if point.is_delta => ns,
            _ => 0,
        };
        let module = shared.sources.instance(instance).module;
        for run in shared.runs.live_mut() {
            let stats = run.modules.entry(module).or_default();
            stats.process_cpu_ns.add(Some(growth));
        }
    }
}
