//! [`Callees`]: the modules and peers that calls without an answer went to.

use std::collections::{BTreeMap, BTreeSet};

use aggregate::module_rows::call_rows;
use aggregate::modules::ModuleStats;
use aggregate::peers::ModuleNames;
use cctf_proto::cctf::ModuleCall;

use super::directory::Directory;
use super::learned::Learned;

/// All of them.
pub struct Callees<'a> {
    directory: &'a Directory,
    learned: &'a Learned,
    names: ModuleNames<'a>,
    /// Calls without an answer by calling module: peer and number.
    by_caller: BTreeMap<u32, Vec<(u32, u64)>>,
    /// Modules among them.
    pub reached: BTreeSet<u32>,
    /// Peers that are no module.
    pub external: BTreeSet<&'a str>,
}

impl<'a> Callees<'a> {
    /// Finds them among all modules.
    pub fn of(directory: &'a Directory, learned: &'a Learned) -> Self {
        let modules = (0..).zip(&directory.modules);
        let mut callees = Self {
            directory,
            learned,
            names: ModuleNames::new(
                modules.map(|(number, name)| (number, name.app_id.as_deref(), name.module_id.as_str())),
            ),
            by_caller: BTreeMap::new(),
            reached: BTreeSet::new(),
            external: BTreeSet::new(),
        };
        for (&(from, peer), &calls) in &learned.without_answer {
            callees.by_caller.entry(from).or_default().push((peer, calls));
            match callees.behind(from, peer) {
                Some(to) => drop(callees.reached.insert(to)),
                None => callees.external.extend(learned.peers.text(peer)),
            }
        }
        callees
            .by_caller
            .values_mut()
            .for_each(|calls| calls.sort_unstable());
        callees
    }

    fn behind(&self, from: u32, peer: u32) -> Option<u32> {
        let by_name = || {
            let app_id = self.directory.modules[from as usize].app_id.as_deref();
            self.names.behind(self.learned.peers.text(peer)?, app_id)
        };
        self.learned.module_behind.get(&peer).copied().or_else(by_name)
    }

    /// What module_inventory.json says of a module's calls.
    pub fn calls_of(&self, number: Option<u32>, stats: &ModuleStats) -> Vec<ModuleCall<'a>> {
        let without_answer = number.and_then(|number| self.by_caller.get(&number));
        call_rows(
            stats,
            without_answer.map_or(&[], Vec::as_slice),
            |peer| self.behind(number?, peer),
            |to| self.directory.module_name(to),
            |peer| self.learned.peers.text(peer),
        )
    }
}
