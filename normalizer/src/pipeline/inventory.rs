//! The module inventory: what module_inventory.json says of a run's modules, from what the run has learnt of them.

use std::collections::{BTreeMap, HashMap};

use cctf_proto::cctf::{
    Endpoint, Instance, MeasureSource, Module, ModuleCall, ModuleType, Resources, SlotSource, Text,
};

use super::Pipeline;
use super::modules::{EndpointStats, Mean, ModuleStats, OTHER_ENDPOINT};
use super::names::endpoint_parts;
use super::runs::Run;

impl Pipeline {
    /// A run's modules and the peers that tell nothing themselves, by name.
    pub(super) fn modules_of(&self, run: &Run) -> Vec<Module<'_>> {
        let mut external_of: HashMap<u32, Vec<(u32, u64)>> = HashMap::new();
        for (&(from, peer), &calls) in &run.external_calls {
            external_of.entry(from).or_default().push((peer, calls));
        }
        let external_of = |number| external_of.get(&number).map_or(&[][..], Vec::as_slice);
        let mut modules: Vec<Module<'_>> = run
            .modules
            .iter()
            .map(|(&number, stats)| self.module_row(run, number, stats, external_of(number)))
            .collect();
        let mut external: Vec<&str> = run
            .external_calls
            .keys()
            .filter(|(_, peer)| !run.modules_by_peer.contains_key(peer))
            .filter_map(|(_, peer)| self.peers.text(*peer))
            .collect();
        external.sort_unstable();
        external.dedup();
        modules.extend(external.into_iter().map(external_row));
        modules
            .sort_by(|left, right| (&left.module_id, &left.app_id).cmp(&(&right.module_id, &right.app_id)));
        modules
    }

    fn module_row(
        &self,
        run: &Run,
        number: u32,
        stats: &ModuleStats,
        external_calls: &[(u32, u64)],
    ) -> Module<'_> {
        let name = self.sources.module(number);
        let estimated = stats.process_cpu_nanos.sum() as f64 / stats.invocations.max(1) as f64;
        let (cpu_nanos, cpu_src) = match stats.cpu_nanos.mean() {
            Some(mean) => (Some(mean), Some(MeasureSource::Measured)),
            None if stats.invocations > 0 && estimated > 0.0 => {
                (Some(estimated), Some(MeasureSource::Estimated))
            }
            None => (None, None),
        };
        let limits = name.cpu_limit.is_some() || name.mem_limit_mb.is_some();
        let instances = self.instance_rows(stats);
        let endpoints = self.endpoint_rows(stats);
        let calls = self.call_rows(run, stats, external_calls);
        Module {
            app_id: name.app_id.as_deref().map(Text::from),
            module_id: name.module_id.as_str().into(),
            name: name.module_id.as_str().into(),
            module_type: match (stats.is_called, stats.makes_calls) {
                (false, true) => ModuleType::Source,
                (true, false) => ModuleType::Sink,
                _ => ModuleType::Module,
            },
            resources: limits.then_some(Resources {
                cpu: name.cpu_limit,
                mem_mb: name.mem_limit_mb,
            }),
            version: name.version.as_deref().map(Text::from),
            language: name.language.as_deref().map(Text::from),
            image: name.image.as_deref().map(Text::from),
            external: None,
            instances: (!instances.is_empty()).then_some(instances),
            cpu_ms_mean: cpu_nanos.map(|nanos| nanos / 1e6),
            cpu_src,
            endpoints: (!endpoints.is_empty()).then_some(endpoints),
            calls: (!calls.is_empty()).then_some(calls),
        }
    }

    fn instance_rows(&self, stats: &ModuleStats) -> Vec<Instance<'_>> {
        let row = |&number: &u32| {
            let instance = self.sources.instance(number);
            let slots = self.placement.slots.get(&number);
            Instance {
                instance_id: instance.instance_id.as_str().into(),
                node_id: instance.node_id.as_str().into(),
                workers: slots.and_then(|slots| slots.workers),
                queue_limit: slots.and_then(|slots| slots.queue_limit),
                slot_policy: slots
                    .and_then(|slots| slots.slot_policy.as_deref())
                    .map(Text::from),
                slots_src: slots.and_then(|slots| slots.workers).map(|_| SlotSource::Told),
            }
        };
        let mut rows: Vec<Instance<'_>> = stats.instances.iter().map(row).collect();
        rows.sort_unstable_by(|left, right| {
            (&left.instance_id, &left.node_id).cmp(&(&right.instance_id, &right.node_id))
        });
        rows
    }

    fn endpoint_rows(&self, stats: &ModuleStats) -> Vec<Endpoint<'_>> {
        let named: BTreeMap<&str, &EndpointStats> = stats
            .endpoints
            .iter()
            .map(|(&number, endpoint)| (self.endpoints.text(number).unwrap_or_default(), endpoint))
            .collect();
        debug_assert!(named.len() == stats.endpoints.len() || stats.endpoints.contains_key(&OTHER_ENDPOINT));
        let row = |(key, endpoint): (&'_ str, &EndpointStats)| {
            let (method, route) = endpoint_parts(key);
            Endpoint {
                method: method.map(|method| method.to_owned().into()),
                route: route.map(|route| route.to_owned().into()),
                calls: endpoint.calls,
                service_ms: endpoint.service_ms(),
                cpu_ms_mean: endpoint.cpu_nanos.mean().map(|nanos| nanos / 1e6),
                bytes_in_mean: endpoint.bytes_in.mean(),
                bytes_out_mean: endpoint.bytes_out.mean(),
            }
        };
        named.into_iter().map(row).collect()
    }

    /// `external_calls`: its calls by peer, whoever is behind it.
    fn call_rows(
        &self,
        run: &Run,
        stats: &ModuleStats,
        external_calls: &[(u32, u64)],
    ) -> Vec<ModuleCall<'_>> {
        let per_invocation =
            |calls: u64| (stats.invocations > 0).then(|| calls as f64 / stats.invocations as f64);
        let mut rows: Vec<ModuleCall<'_>> = Vec::new();
        let mut calls_to: BTreeMap<u32, u64> = stats.calls.iter().map(|(&to, &calls)| (to, calls)).collect();
        for &(peer, calls) in external_calls {
            if let Some(&to) = run.modules_by_peer.get(&peer) {
                *calls_to.entry(to).or_default() += calls;
            }
        }
        for (&to, &calls) in &calls_to {
            rows.push(ModuleCall {
                to: self.sources.module(to).module_id.as_str().into(),
                per_invocation: per_invocation(calls),
                bytes_mean: stats.call_bytes.get(&to).and_then(Mean::mean),
            });
        }
        for &(peer, calls) in external_calls {
            let is_external = !run.modules_by_peer.contains_key(&peer);
            if let (true, Some(peer)) = (is_external, self.peers.text(peer)) {
                rows.push(ModuleCall {
                    to: peer.into(),
                    per_invocation: per_invocation(calls),
                    bytes_mean: None,
                });
            }
        }
        rows.sort_unstable_by(|left, right| left.to.cmp(&right.to));
        rows
    }
}

/// A peer without telemetry of its own: a database, a third party.
fn external_row(peer: &str) -> Module<'_> {
    Module {
        app_id: None,
        module_id: peer.into(),
        name: peer.into(),
        module_type: ModuleType::Sink,
        resources: None,
        version: None,
        language: None,
        image: None,
        external: Some(true),
        instances: None,
        cpu_ms_mean: None,
        cpu_src: None,
        endpoints: None,
        calls: None,
    }
}
