//! module_inventory.json: a run's modules, their instances, endpoints and calls.

use std::collections::{BTreeSet, HashMap, HashSet};

use aggregate::ids::{InstanceId, ModuleId, NameId};
use aggregate::module_rows::{call_rows, cpu_of, endpoint_rows, external_row, type_of};
use aggregate::modules::ModuleStats;
use aggregate::peers::ModuleNames;
use cctf_proto::cctf::{Instance, Module, ModuleCall, ModuleType, Resources, SlotSource, Text};

use crate::pipeline::shared::Shared;
use crate::pipeline::shared::run::Run;

/// The run's modules, and the peers that send no telemetry, sorted by name.
pub fn modules_of<'a>(run: &Run, shared: &'a Shared) -> Vec<Module<'a>> {
    let sources = &shared.sources;
    let named = run.modules.keys().map(|&module| {
        let name = sources.module(module);
        (module, name.app_id.as_deref(), name.module_id.as_str())
    });
    let mut named: Vec<_> = named.collect();
    // By application, as in a merge, which does not know the order of arrival.
    named.sort_by_key(|(_, app_id, _)| *app_id);
    let names = ModuleNames::new(named.into_iter());
    let behind = |from: ModuleId, peer: NameId| {
        let app_id = sources.module(from).app_id.as_deref();
        let by_name = || names.behind(shared.peers.text(peer)?, app_id);
        run.modules_by_peer.get(&peer).copied().or_else(by_name)
    };
    let mut external_of: HashMap<ModuleId, Vec<(NameId, u64)>> = HashMap::new();
    let (mut reached, mut external) = (HashSet::new(), BTreeSet::new());
    for (&(from, peer), &calls) in &run.external_calls {
        external_of.entry(from).or_default().push((peer, calls));
        match behind(from, peer) {
            Some(to) => drop(reached.insert(to)),
            None => external.extend(shared.peers.text(peer)),
        }
    }
    let row = |(&module, stats): (&ModuleId, &ModuleStats)| {
        let calls = call_rows(
            stats,
            external_of.get(&module).map_or(&[], Vec::as_slice),
            |peer| behind(module, peer),
            |to| sources.module(to).module_id.as_str(),
            |peer| shared.peers.text(peer),
        );
        let module_type = type_of(stats, reached.contains(&module));
        module_row(module, stats, module_type, calls, shared)
    };
    let mut modules: Vec<Module<'_>> = run.modules.iter().map(row).collect();
    modules.extend(external.into_iter().map(external_row));
    modules.sort_by(|left, right| (&left.module_id, &left.app_id).cmp(&(&right.module_id, &right.app_id)));
    modules
}

fn module_row<'a>(
    module: ModuleId,
    stats: &ModuleStats,
    module_type: ModuleType,
    calls: Vec<ModuleCall<'a>>,
    shared: &'a Shared,
) -> Module<'a> {
    let name = shared.sources.module(module);
    let (cpu_ms_mean, cpu_src) = cpu_of(stats);
    let limits = name.cpu_limit.is_some() || name.mem_limit_mb.is_some();
    let instances = instance_rows(stats, shared);
    let endpoints = endpoint_rows(stats, |endpoint| shared.endpoints.text(endpoint));
    Module {
        app_id: name.app_id.as_deref().map(Text::from),
        module_id: name.module_id.as_str().into(),
        name: name.module_id.as_str().into(),
        module_type,
        resources: limits.then_some(Resources {
            cpu: name.cpu_limit,
            mem_mb: name.mem_limit_mb,
        }),
        version: name.version.as_deref().map(Text::from),
        language: name.language.as_deref().map(Text::from),
        image: name.image.as_deref().map(Text::from),
        external: None,
        instances: (!instances.is_empty()).then_some(instances),
        cpu_ms_mean,
        cpu_src,
        endpoints: (!endpoints.is_empty()).then_some(endpoints),
        calls: (!calls.is_empty()).then_some(calls),
    }
}

fn instance_rows<'a>(stats: &ModuleStats, shared: &'a Shared) -> Vec<Instance<'a>> {
    let row = |&instance: &InstanceId| {
        let name = shared.sources.instance(instance);
        let limits = name.limits.as_ref();
        let workers = limits.and_then(|limits| limits.workers);
        Instance {
            instance_id: name.instance_id.as_str().into(),
            node_id: name.node_id.as_str().into(),
            workers,
            queue_limit: limits.and_then(|limits| limits.queue_limit),
            slot_policy: limits
                .and_then(|limits| limits.slot_policy.as_deref())
                .map(Text::from),
            slots_src: workers.map(|_| SlotSource::Reported),
        }
    };
    let mut rows: Vec<Instance<'_>> = stats.instances.iter().map(row).collect();
    rows.sort_unstable_by(|left, right| {
        (&left.instance_id, &left.node_id).cmp(&(&right.instance_id, &right.node_id))
    });
    rows
}
