//! [`Samplers`]: turns the points of one node and interval into one row of host_metrics.jsonl and rows of link_metrics.jsonl.

use std::collections::BTreeMap;
use std::sync::Arc;

use aggregate::ids::NodeId;
use cctf_proto::cctf::{File, HostMetric, LinkMetric, Milliseconds, Text, bounded};
use serde::{Deserialize, Serialize};

use super::points::Point;
use super::sample::Sample;
use super::sampler::Sampler;
use crate::mapping::MetricRole;
use crate::pipeline::output::Output;
use crate::pipeline::shared::Shared;
use crate::pipeline::shared::source::Source;

const BYTES_PER_MIB: f64 = 1_048_576.0;

/// The sampling of all nodes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Samplers(BTreeMap<NodeId, Sampler>);

impl Samplers {
    /// Number of counters remembered.
    pub fn counters(&self) -> usize {
        self.0.values().map(Sampler::counters).sum()
    }

    /// Processes a point of a host metric.
    pub fn take(
        &mut self,
        role: MetricRole,
        point: &Point<'_>,
        source: &Arc<Source>,
        shared: &mut Shared,
        output: &mut Output,
    ) {
        // None of these quantities can be negative.
        if point.value < 0.0 {
            return shared.totals.reject("negative", 1);
        }
        let Some(node) = source.node else { return };
        let now = shared.clock.now;
        let sampler = self
            .0
            .entry(node)
            .or_insert_with(|| Sampler::new(source.clone(), now));
        // Only one source at a time is used for a node, so that a Collector and a service on the same node do not cause
        // duplicate rows.
        if sampler.source.number != source.number {
            // A source that reported its stop is replaced at once. So there is no gap in the rows of a node whose service
            // restarts.
            let is_gone = sampler
                .source
                .instance
                .is_some_and(|gone| shared.sources.instance(gone).has_reported_stop);
            if !is_gone && now < sampler.last_heard.saturating_add(shared.windows.stale_ns) {
                return;
            }
            close_sample(node, sampler, shared, output);
        }
        sampler.source = source.clone();
        sampler.last_heard = now;
        match role {
            MetricRole::MemoryLimit => {
                shared.sources.node_mut(node).mem_mb = Some(point.value / BYTES_PER_MIB);
            }
            MetricRole::CpuCount => shared.sources.node_mut(node).cpu_cores = Some(count(point.value)),
            _ => sampler.take(role, point, now),
        }
    }

    /// Writes the samples that were opened before `opened_before`.
    pub fn expire(&mut self, opened_before: u64, shared: &mut Shared, output: &mut Output) {
        for (&node, sampler) in &mut self.0 {
            let is_due = |sample: &Sample| sample.opened_at <= opened_before;
            if sampler.sample.as_ref().is_some_and(is_due) {
                close_sample(node, sampler, shared, output);
            }
        }
    }

    /// Whether the open sample of the source's node comes from this source, and contains a point of the series.
    pub fn has_sampled(&self, source: &Source, series: u64) -> bool {
        let sampler = source.node.and_then(|node| self.0.get(&node));
        sampler
            .filter(|sampler| sampler.source.number == source.number)
            .and_then(|sampler| sampler.sample.as_ref())
            .is_some_and(|sample| sample.taken.contains(&series))
    }

    /// Writes the open sample of the source's node.
    pub fn close_sample_of(&mut self, source: &Source, shared: &mut Shared, output: &mut Output) {
        if let Some(node) = source.node
            && let Some(sampler) = self.0.get_mut(&node)
        {
            close_sample(node, sampler, shared, output);
        }
    }
}

fn close_sample(node: NodeId, sampler: &mut Sampler, shared: &mut Shared, output: &mut Output) {
    let Some(sample) = sampler.sample.take() else {
        return;
    };
    let interfaces: Vec<&str> = sample.interfaces.iter().map(String::as_str).collect();
    let interfaces = interfaces.join(",");
    let link_name = format!("{}.nic", sampler.source.identity.node);
    let host = host_row(&sample, &sampler.source);
    if let Some(cpu_util) = host.cpu_util {
        shared.figures.sample_cpu(node, cpu_util, shared.clock.now);
    }
    let link = link_row(&sample, &host, &link_name, &interfaces);
    for run in shared.runs_at(sample.ts, output) {
        let of = &mut shared.runs[run];
        of.nodes.insert(node);
        if sample.saw_network {
            let interfaces = sample.interfaces.iter();
            of.interfaces
                .extend(interfaces.map(|interface| (node, interface.clone())));
        }
        if sample.has_host_fields() {
            shared
                .runs
                .write_row(run, File::HostMetrics, &host, sample.ts, output);
        }
        if sample.saw_network {
            shared
                .runs
                .write_row(run, File::LinkMetrics, &link, sample.ts, output);
        }
    }
}

fn host_row<'a>(sample: &Sample, source: &'a Source) -> HostMetric<'a> {
    let identity = &source.identity;
    HostMetric {
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
        interval_ms: (sample.interval_ns > 0).then(|| Milliseconds::from_ns(sample.interval_ns as i64)),
    }
}

fn link_row<'a>(
    sample: &Sample,
    host: &HostMetric<'a>,
    link_name: &'a str,
    interfaces: &'a str,
) -> LinkMetric<'a> {
    LinkMetric {
        ts_ms: host.ts_ms,
        node: host.node.clone(),
        stage: host.stage,
        link: link_name.into(),
        rx_Bps: finite(sample.received),
        tx_Bps: finite(sample.sent),
        iface: (!interfaces.is_empty()).then(|| Text::from(bounded(interfaces))),
        interval_ms: host.interval_ms,
        errors: sample.errors.map(count),
        dropped: sample.dropped.map(count),
        calls: None,
        net_ms_min: None,
        net_ms_p50: None,
        net_ms_p99: None,
    }
}

/// The number, unless a sum has overflowed. JSON cannot represent infinity.
fn finite(number: Option<f64>) -> Option<f64> {
    number.filter(|number| number.is_finite())
}

/// The number as a count. It is at most the largest number that a file can contain.
fn count(number: f64) -> u64 {
    (number as u64).min(i64::MAX as u64)
}
