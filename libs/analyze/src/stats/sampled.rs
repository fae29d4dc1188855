//! [`Sampled`]: samples that instances took of themselves, by module and node, for the lint.

use std::collections::BTreeMap;

use cctf_proto::cctf::SystemStat;

use crate::any_order::sum_in_any_order;
use crate::intervals::Accumulator;
use crate::system_stats::PROCESS_CPU;

/// Maximum number of series, and so also of stations. An instance has one series of requests, of 50 KiB, and two of CPU time.
const SERIES_MAX: usize = 1024;

/// Samples of one instance's requests.
#[derive(Debug, Default)]
pub struct InFlightSeries {
    pub values: Accumulator,
    pub sum: f64,
}

/// The first and last value of a counter.
#[derive(Debug, Clone, Copy)]
struct Counter {
    first: (i64, f64),
    last: (i64, f64),
}

/// Samples of the instances of a module on a node.
#[derive(Debug, Default)]
pub struct StationSamples {
    in_flight: BTreeMap<String, InFlightSeries>,
    /// By instance and attributes.
    cpu: BTreeMap<(String, String), Counter>,
}

impl StationSamples {
    pub fn in_flight(&self) -> impl Iterator<Item = &InFlightSeries> {
        self.in_flight.values()
    }

    /// CPU time between the first and the last sample, in seconds, and the time between them, in nanoseconds.
    pub fn process_cpu(&self) -> Option<(f64, u64)> {
        let increments = self.cpu.values().map(|counter| counter.last.1 - counter.first.1);
        let times = self
            .cpu
            .values()
            .map(|counter| counter.last.0.abs_diff(counter.first.0));
        times.max().map(|time| (sum_in_any_order(increments), time))
    }

    fn add_cpu(&mut self, key: (String, String), at: i64, value: f64) {
        let counter = self.cpu.entry(key).or_insert(Counter {
            first: (at, value),
            last: (at, value),
        });
        if at < counter.first.0 {
            counter.first = (at, value);
        }
        if at > counter.last.0 {
            counter.last = (at, value);
        }
    }
}

/// CPU time of all processes of a node.
#[derive(Debug, Clone, Copy)]
pub struct NodeCpu {
    /// Sum over all counters of the increase from the first to the last sample.
    pub seconds: f64,
    /// Number of counters, one for each process and mode.
    pub series: u64,
    /// Time of the first sample of any counter, and of the last one, nanoseconds.
    pub begin: i64,
    pub end: i64,
}

/// Samples of all stations.
#[derive(Debug, Default)]
pub struct Sampled {
    stations: BTreeMap<(String, String), StationSamples>,
    series: usize,
    /// Number of samples of series beyond the maximum.
    pub beyond: u64,
}

impl Sampled {
    /// CPU time of all processes of each node.
    pub fn cpu_by_node(&self) -> BTreeMap<String, NodeCpu> {
        let mut nodes: BTreeMap<String, NodeCpu> = BTreeMap::new();
        let mut seconds: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for ((_, node), samples) in &self.stations {
            // A single sample shows no increase.
            let counters = samples
                .cpu
                .values()
                .filter(|counter| counter.first.0 < counter.last.0);
            for Counter { first, last } in counters {
                let of_node = nodes.entry(node.clone()).or_insert(NodeCpu {
                    seconds: 0.0,
                    series: 0,
                    begin: first.0,
                    end: last.0,
                });
                seconds.entry(node.clone()).or_default().push(last.1 - first.1);
                of_node.series += 1;
                of_node.begin = of_node.begin.min(first.0);
                of_node.end = of_node.end.max(last.0);
            }
        }
        for (node, seconds) in seconds {
            if let Some(of_node) = nodes.get_mut(&node) {
                of_node.seconds = sum_in_any_order(seconds);
            }
        }
        nodes
    }

    /// The samples of a module on a node.
    pub fn of(&self, module: &str, node: &str) -> Option<&StationSamples> {
        self.stations.get(&(module.to_owned(), node.to_owned()))
    }

    pub fn add(&mut self, stat: &SystemStat<'_>) {
        let (Some(module), Some(instance)) = (&stat.module_id, &stat.instance_id) else {
            return;
        };
        let attributes = stat
            .attributes
            .as_ref()
            .map(|attributes| format!("{attributes:?}"));
        let key = (instance.to_string(), attributes.unwrap_or_default());
        let station = (module.to_string(), stat.node_id.to_string());
        let is_cpu = &*stat.metric == PROCESS_CPU;
        let is_known = |samples: &StationSamples| match is_cpu {
            true => samples.cpu.contains_key(&key),
            false => samples.in_flight.contains_key(&key.0),
        };
        if !self.stations.get(&station).is_some_and(is_known) {
            if self.series >= SERIES_MAX {
                self.beyond += 1;
                return;
            }
            self.series += 1;
        }
        let samples = self.stations.entry(station).or_default();
        if is_cpu {
            return samples.add_cpu(key, stat.ts_ms.as_ns(), stat.value);
        }
        let series = samples.in_flight.entry(key.0).or_default();
        series.values.push(stat.value);
        series.sum += stat.value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_and_stations_beyond_the_maximum_are_only_counted() {
        let mut sampled = Sampled::default();
        for round in 0..2 {
            for module in 0..SERIES_MAX + 10 {
                let line = format!(
                    r#"{{"ts_ms":{round}.000000,"metric":"in_flight","module_id":"m{module}","instance_id":"i","node_id":"n","stage":"edge","value":1.0}}"#
                );
                sampled.add(&serde_json::from_str(&line).unwrap());
            }
        }
        assert_eq!((sampled.stations.len(), sampled.beyond), (SERIES_MAX, 20));
        assert!(sampled.of("m0", "n").is_some() && sampled.of(&format!("m{SERIES_MAX}"), "n").is_none());
    }
}
