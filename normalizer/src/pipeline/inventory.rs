//! The module inventory: what module_inventory.json says of a run's modules, from what the run has learnt of them.

use std::collections::{BTreeSet, HashMap, HashSet};

use cctf_proto::cctf::{Instance, Module, ModuleCall, ModuleType, Resources, SlotSource, Text};

use super::Pipeline;
use super::runs::Run;
use aggregate::module_rows::{call_rows, cpu_of, endpoint_rows, external_row, type_of};
use aggregate::modules::ModuleStats;
use aggregate::peers::ModuleNames;

impl Pipeline {
    /// A run's modules and the peers that tell nothing themselves, by name.
    pub(super) fn modules_of(&self, run: &Run) -> Vec<Module<'_>> {
        let names = ModuleNames::new(run.modules.keys().map(|&number| {
            let name = self.sources.module(number);
            (number, name.app_id.as_deref(), name.module_id.as_str())
        }));
        let behind = |from: u32, peer: u32| {
            let by_name = || {
                names.behind(
                    self.peers.text(peer)?,
                    self.sources.module(from).app_id.as_deref(),
                )
            };
            run.modules_by_peer.get(&peer).copied().or_else(by_name)
        };
        let mut external_of: HashMap<u32, Vec<(u32, u64)>> = HashMap::new();
        let (mut reached, mut external) = (HashSet::new(), BTreeSet::new());
        for (&(from, peer), &calls) in &run.external_calls {
            external_of.entry(from).or_default().push((peer, calls));
            match behind(from, peer) {
                Some(to) => drop(reached.insert(to)),
                None => external.extend(self.peers.text(peer)),
            }
        }
        let row = |(&number, stats): (&u32, &ModuleStats)| {
            let calls = call_rows(
                stats,
                external_of.get(&number).map_or(&[], Vec::as_slice),
                |peer| behind(number, peer),
                |to| self.sources.module(to).module_id.as_str(),
                |peer| self.peers.text(peer),
            );
            self.module_row(number, stats, type_of(stats, reached.contains(&number)), calls)
        };
        let mut modules: Vec<Module<'_>> = run.modules.iter().map(row).collect();
        modules.extend(external.into_iter().map(external_row));
        modules
            .sort_by(|left, right| (&left.module_id, &left.app_id).cmp(&(&right.module_id, &right.app_id)));
        modules
    }

    fn module_row<'a>(
        &'a self,
        number: u32,
        stats: &ModuleStats,
        module_type: ModuleType,
        calls: Vec<ModuleCall<'a>>,
    ) -> Module<'a> {
        let name = self.sources.module(number);
        let (cpu_ms_mean, cpu_src) = cpu_of(stats);
        let limits = name.cpu_limit.is_some() || name.mem_limit_mb.is_some();
        let instances = self.instance_rows(stats);
        let endpoints = endpoint_rows(stats, |number| self.endpoints.text(number));
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
                slots_src: slots
                    .and_then(|slots| slots.workers)
                    .map(|_| SlotSource::Reported),
            }
        };
        let mut rows: Vec<Instance<'_>> = stats.instances.iter().map(row).collect();
        rows.sort_unstable_by(|left, right| {
            (&left.instance_id, &left.node_id).cmp(&(&right.instance_id, &right.node_id))
        });
        rows
    }
}
