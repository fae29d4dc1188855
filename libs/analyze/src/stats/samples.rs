//! [`InFlight`]: requests in the system as the instances sampled them, from `system_stats.jsonl`.

use std::collections::BTreeMap;

use cctf_proto::cctf::{File, Part, SystemStat};
use rundir::parts::Run;
use rundir::{Lines, ReadError};

use super::scan::Damages;
use super::window::Bounds;
use crate::system_stats::{self, IN_FLIGHT};

/// Maximum number of instances, each with about 200 bytes.
const INSTANCES_MAX: usize = 65_536;

/// The samples of one instance.
#[derive(Debug, Clone, Copy, Default)]
struct Samples {
    count: u64,
    sum: f64,
    first: i64,
    last: i64,
}

impl Samples {
    fn add(&mut self, ts: i64, value: f64) {
        if self.count == 0 {
            (self.first, self.last) = (ts, ts);
        }
        self.count += 1;
        self.sum += value;
        self.first = self.first.min(ts);
        self.last = self.last.max(ts);
    }

    /// Integral over time, in nanoseconds: each sample stands for the mean interval between two. `None` below two samples.
    fn integral(&self) -> Option<f64> {
        let intervals = self.count.checked_sub(1).filter(|intervals| *intervals > 0)?;
        Some(self.sum * self.last.abs_diff(self.first) as f64 / intervals as f64)
    }
}

/// Samples of all instances.
#[derive(Debug, Default)]
pub struct InFlight {
    /// By module, node and instance.
    instances: BTreeMap<(Option<String>, String, Option<String>), Samples>,
    /// Samples of instances beyond the maximum.
    pub beyond: u64,
}

impl InFlight {
    /// Reads the samples within the bounds. Without `damages`, damaged lines are left out silently.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(
        run: &Run,
        parts: &[Part],
        bounds: Bounds,
        mut damages: Option<&mut Damages>,
    ) -> Result<Self, ReadError> {
        let mut found = Self::default();
        for part in parts {
            if let Some(lines) = Lines::open(run.path(part, File::SystemStats))? {
                found.read_part(lines, bounds, damages.as_deref_mut())?;
            }
        }
        Ok(found)
    }

    fn read_part(
        &mut self,
        lines: Lines,
        bounds: Bounds,
        mut damages: Option<&mut Damages>,
    ) -> Result<(), ReadError> {
        let path = lines.path().to_owned();
        let on_damage = |line| {
            if let Some(damages) = &mut damages {
                damages.add_row(&path, line);
            }
        };
        system_stats::read(lines, &[IN_FLIGHT], |stat| self.add(stat, bounds), on_damage)
    }

    fn add(&mut self, stat: &SystemStat<'_>, bounds: Bounds) {
        let ts = stat.ts_ms.as_ns();
        if !bounds.has(ts) {
            return;
        }
        let owned = |text: &Option<cctf_proto::cctf::Text<'_>>| text.as_ref().map(|text| text.to_string());
        let key = (
            owned(&stat.module_id),
            stat.node_id.to_string(),
            owned(&stat.instance_id),
        );
        if self.instances.len() >= INSTANCES_MAX && !self.instances.contains_key(&key) {
            self.beyond += 1;
            return;
        }
        self.instances.entry(key).or_default().add(ts, stat.value);
    }

    /// Time average over `time_ns` of all instances of a module.
    pub fn of_module(&self, module_id: &str, time_ns: u64) -> Option<f64> {
        self.mean(time_ns, |(module, _, _)| module.as_deref() == Some(module_id))
    }

    /// Time average over `time_ns` of all instances on a node.
    pub fn of_node(&self, node: &str, time_ns: u64) -> Option<f64> {
        self.mean(time_ns, |(_, of, _)| of == node)
    }

    fn mean(
        &self,
        time_ns: u64,
        is_wanted: impl Fn(&(Option<String>, String, Option<String>)) -> bool,
    ) -> Option<f64> {
        let wanted = self.instances.iter().filter(|(key, _)| is_wanted(key));
        let integrals: Vec<f64> = wanted.filter_map(|(_, samples)| samples.integral()).collect();
        let is_known = !integrals.is_empty() && time_ns > 0;
        is_known.then(|| integrals.iter().sum::<f64>() / time_ns as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sample_stands_for_the_mean_interval() {
        let mut samples = Samples::default();
        for (ts, value) in [(10, 1.0), (30, 2.0), (20, 0.0), (40, 1.0)] {
            samples.add(ts, value);
        }
        assert_eq!(samples.integral(), Some(4.0 * 30.0 / 3.0));
        assert_eq!(Samples::default().integral(), None);
        let mut one = Samples::default();
        one.add(5, 1.0);
        assert_eq!(one.integral(), None);
    }
}
