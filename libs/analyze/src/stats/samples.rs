//! [`InFlight`]: the number of requests in the system, as instances sampled it in `system_stats.jsonl`.

use std::collections::BTreeMap;

use cctf_proto::cctf::SystemStat;

use crate::any_order::sum_in_any_order;

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

    /// Integral over time, in nanoseconds. Each sample stands for the mean time between two samples. `None` if there are fewer
    /// than two samples.
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
    pub fn add(&mut self, stat: &SystemStat<'_>) {
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
        let samples = self.instances.entry(key).or_default();
        samples.add(stat.ts_ms.as_ns(), stat.value);
    }

    /// Time average over `time_ns`, summed over all instances of a module.
    pub fn of_module(&self, module_id: &str, time_ns: u64) -> Option<f64> {
        self.mean(time_ns, |(module, _, _)| module.as_deref() == Some(module_id))
    }

    /// Time average over `time_ns`, summed over all instances on a node.
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
        is_known.then(|| sum_in_any_order(integrals) / time_ns as f64)
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
