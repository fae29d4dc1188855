//! Host metrics: the points of one node and interval become one row of host_metrics.jsonl and one of link_metrics.jsonl.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cctf_proto::cctf::{File, HostMetric, LinkMetric, Milliseconds, Text, bounded};
use serde::{Deserialize, Serialize};

use super::Pipeline;
use super::output::Output;
use super::points::Point;
use super::runs::write_row;
use super::sample::{
    CPU_MODES, DEVICES, DIRECTIONS, IDLE_MODES, MEMORY_STATES, Sample, is_at_edge, is_one_of, text_of,
};
use super::sources::Source;
use crate::mapping::{MetricRole, is_counted_disk, is_counted_interface};

const BYTES_PER_MIB: f64 = 1_048_576.0;
/// Counters remembered of one node, and of all processes; past it a node's newest are not sampled, and all processes
/// begin anew.
const COUNTERS_MAX: usize = 16_384;

/// A node's sampling.
#[derive(Debug, Serialize, Deserialize)]
struct Sampler {
    source: Arc<Source>,
    last_heard: u64,
    counters: HashMap<u64, (u64, u64, f64)>,
    sample: Option<Sample>,
}

/// All nodes' sampling, by the node's number.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Samplers(BTreeMap<u32, Sampler>);

impl Samplers {
    /// How many counters are remembered.
    pub fn counters(&self) -> usize {
        self.0.values().map(|sampler| sampler.counters.len()).sum()
    }
}

impl Pipeline {
    /// Takes a point of a host metric.
    pub(super) fn sample_host(
        &mut self,
        role: MetricRole,
        point: &Point<'_>,
        source: &Arc<Source>,
        output: &mut Output,
    ) {
        if role == MetricRole::ProcessCpuTime {
            return self.sample_process_cpu(point, source);
        }
        // No amount of a node is less than nothing.
        if point.value < 0.0 {
            return self.totals.reject("negative", 1);
        }
        let Some(node) = source.node else { return };
        let now = self.now;
        let sampler = self.samplers.0.entry(node).or_insert_with(|| Sampler {
            source: source.clone(),
            last_heard: now,
            counters: HashMap::new(),
            sample: None,
        });
        // One source reports for a node at a time, so that a Collector and a service beside it give no double rows.
        if sampler.source.number != source.number {
            // One that told its stop is not waited for: a service that is started again has its node's rows at once.
            let is_gone = sampler
                .source
                .instance
                .is_some_and(|gone| self.placement.has_told_stop(gone));
            if !is_gone && now < sampler.last_heard.saturating_add(self.stale_ns) {
                return;
            }
            self.close_sample(node, output);
        }
        let Some(sampler) = self.samplers.0.get_mut(&node) else {
            return;
        };
        sampler.source = source.clone();
        sampler.last_heard = now;
        match role {
            MetricRole::MemoryLimit => self.sources.node_mut(node).mem_mb = Some(point.value / BYTES_PER_MIB),
            MetricRole::CpuCount => self.sources.node_mut(node).cpu_cores = Some(count(point.value)),
            _ => sampler.take(role, point, now),
        }
    }

    fn sample_process_cpu(&mut self, point: &Point<'_>, source: &Arc<Source>) {
        let Some(instance) = source.instance else { return };
        let ns = (point.value * 1e9).max(0.0) as u64;
        if self.process_cpu.len() >= COUNTERS_MAX && !self.process_cpu.contains_key(&point.series) {
            self.process_cpu.clear();
        }
        let grown = match self.process_cpu.insert(point.series, ns) {
            Some(before) if !point.is_delta => ns.saturating_sub(before),
            _ if point.is_delta => ns,
            _ => 0,
        };
        let module = self.sources.instance(instance).module;
        let live: Vec<usize> = self.runs.live().collect();
        for slot in live {
            self.runs
                .at(slot)
                .modules
                .entry(module)
                .or_default()
                .process_cpu_ns
                .add(Some(grown));
        }
    }

    /// Closes samples that have been open for a join window.
    pub(super) fn expire_samples(&mut self, opened_before: u64, output: &mut Output) {
        let due = |sampler: &Sampler| {
            sampler
                .sample
                .as_ref()
                .is_some_and(|sample| sample.opened_at <= opened_before)
        };
        let nodes: Vec<u32> = self
            .samplers
            .0
            .iter()
            .filter(|(_, sampler)| due(sampler))
            .map(|(&node, _)| node)
            .collect();
        for node in nodes {
            self.close_sample(node, output);
        }
    }

    /// Whether the sample that is open for a source's node comes from it and has a point of a series.
    pub(super) fn is_in_open_sample(&self, source: &Source, series: u64) -> bool {
        let sampler = source.node.and_then(|node| self.samplers.0.get(&node));
        sampler
            .filter(|sampler| sampler.source.number == source.number)
            .and_then(|sampler| sampler.sample.as_ref())
            .is_some_and(|sample| sample.taken.contains(&series))
    }

    /// Writes the sample that is open for a source's node.
    pub(super) fn close_sample_of(&mut self, source: &Source, output: &mut Output) {
        if let Some(node) = source.node {
            self.close_sample(node, output);
        }
    }

    fn close_sample(&mut self, node: u32, output: &mut Output) {
        let Some(sampler) = self.samplers.0.get_mut(&node) else {
            return;
        };
        let Some(sample) = sampler.sample.take() else {
            return;
        };
        let source = sampler.source.clone();
        let identity = &source.identity;
        let interval = (sample.interval_ns > 0).then(|| Milliseconds::from_ns(sample.interval_ns as i64));
        let host = HostMetric {
            ts_ms: Milliseconds::from_ns(sample.ts as i64),
            node: identity.node.as_str().into(),
            stage: identity.stage(),
            cpu_util: sample.cpu_util(),
            mem_free_mb: sample.memory_available.map(|bytes| bytes / BYTES_PER_MIB),
            mem_used_mb: sample.memory_used.map(|bytes| bytes / BYTES_PER_MIB),
            load1: sample.load1,
            disk_read_Bps: finite(sample.disk_read),
            disk_write_Bps: finite(sample.disk_written),
            power_w: sample.power,
            energy_j: sample.energy,
            interval_ms: interval,
        };
        let link_name = format!("{}.nic", identity.node);
        let interfaces = sample
            .interfaces
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(",");
        let link = LinkMetric {
            ts_ms: host.ts_ms,
            node: host.node.clone(),
            stage: host.stage,
            link: link_name.as_str().into(),
            rx_Bps: finite(sample.received),
            tx_Bps: finite(sample.sent),
            iface: (!interfaces.is_empty()).then(|| Text::from(bounded(&interfaces))),
            interval_ms: interval,
            errors: sample.errors.map(count),
            dropped: sample.dropped.map(count),
            calls: None,
            net_ms_min: None,
            net_ms_p50: None,
            net_ms_p99: None,
        };
        for slot in self.runs_at(sample.ts, output) {
            let run = self.runs.at(slot);
            run.nodes.insert(node);
            if sample.has_host_fields() {
                write_row(run, output, slot, File::HostMetrics, &host, sample.ts);
            }
            if sample.saw_network {
                run.interfaces.extend(
                    sample
                        .interfaces
                        .iter()
                        .map(|interface| (node, interface.clone())),
                );
                write_row(run, output, slot, File::LinkMetrics, &link, sample.ts);
            }
        }
    }
}

impl Sampler {
    fn take(&mut self, role: MetricRole, point: &Point<'_>, now: u64) {
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

    /// The change of a counter since its point before, and the nanoseconds between them. A first point and a reset give none.
    fn growth(&mut self, point: &Point<'_>) -> Option<(f64, u64)> {
        if !self.counters.contains_key(&point.series) && self.counters.len() >= COUNTERS_MAX {
            return None;
        }
        let before = self
            .counters
            .insert(point.series, (point.time, point.start, point.value));
        if point.is_delta {
            let from = if point.start > 0 { point.start } else { before?.0 };
            let ns = point.time.checked_sub(from).filter(|&ns| ns > 0)?;
            return Some((point.value, ns));
        }
        let (time, start, value) = before?;
        let ns = point.time.checked_sub(time).filter(|&ns| ns > 0)?;
        (point.start == start && point.value >= value).then_some((point.value - value, ns))
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

/// What numbers from the wire add up to, as far as JSON has a word for it.
fn finite(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite())
}

/// A count, at most the largest that a file can hold.
fn count(number: f64) -> u64 {
    (number as u64).min(i64::MAX as u64)
}
