//! [`Callees`]: the modules and peers to which calls without an answer were sent.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::ids::NameId;
use aggregate::module_rows::call_rows;
use aggregate::modules::ModuleStats;
use aggregate::peers::ModuleNames;
use cctf_proto::cctf::ModuleCall;

use crate::ids::ModuleId;
use crate::registry::EntityRegistry;
use crate::requests::graph_stats::GraphStats;

pub struct Callees<'a> {
    registry: &'a EntityRegistry,
    graph: &'a GraphStats,
    names: ModuleNames<'a>,
    /// Calls without an answer by calling module: the peers, and the number of calls to each.
    by_caller: BTreeMap<ModuleId, Vec<(NameId, u64)>>,
    /// Modules to which such calls were sent.
    pub reached: BTreeSet<ModuleId>,
    /// Peers that are not modules.
    pub external: BTreeSet<&'a str>,
}

impl<'a> Callees<'a> {
    pub fn new(registry: &'a EntityRegistry, graph: &'a GraphStats) -> Self {
        let modules = (0..).map(ModuleId::new).zip(&registry.modules);
        // By application, because the order of the registry depends on that of the folders.
        let mut named: Vec<_> = modules
            .map(|(id, name)| (id, name.app_id.as_deref(), name.module_id.as_str()))
            .collect();
        named.sort_by_key(|(_, app_id, _)| *app_id);
        let mut callees = Self {
            registry,
            graph,
            names: ModuleNames::new(named.into_iter()),
            by_caller: BTreeMap::new(),
            reached: BTreeSet::new(),
            external: BTreeSet::new(),
        };
        for (&(from, peer), &calls) in &graph.unanswered {
            callees.by_caller.entry(from).or_default().push((peer, calls));
            match callees.module_behind(from, peer) {
                Some(to) => drop(callees.reached.insert(to)),
                None => callees.external.extend(graph.peers.text(peer)),
            }
        }
        callees
            .by_caller
            .values_mut()
            .for_each(|calls| calls.sort_unstable());
        callees
    }

    /// The module behind a peer: the module that answered other calls to this peer, or else the module with the peer's name.
    fn module_behind(&self, from: ModuleId, peer: NameId) -> Option<ModuleId> {
        let by_name = || {
            let app_id = self.registry.modules[from.index()].app_id.as_deref();
            self.names.behind(self.graph.peers.text(peer)?, app_id)
        };
        self.graph.module_behind.get(&peer).copied().or_else(by_name)
    }

    /// The rows of a module's calls in `module_inventory.json`.
    pub fn calls_of(&self, id: Option<ModuleId>, stats: &ModuleStats) -> Vec<ModuleCall<'a>> {
        let unanswered = id.and_then(|id| self.by_caller.get(&id));
        call_rows(
            stats,
            unanswered.map_or(&[], Vec::as_slice),
            |peer| self.module_behind(id?, peer),
            |to| self.registry.module_name(to),
            |peer| self.graph.peers.text(peer),
        )
    }
}
