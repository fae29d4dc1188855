//! Groups: the instances of a module that were recorded on one node. [`group_name`]: the name of a group; [`copied`]: the ids of
//! a group's further instances; [`Placement::of`]: the changes to a group.

use std::collections::BTreeSet;

use plan::work::Station;

use super::placement::{ModulePlace, Placement};
use super::recording::{Instance, Module, Recording};

/// The meaning of a name in `modules` of a placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    Module,
    Group,
}

/// `MODULE@NODE`, with the recorded node.
pub fn group_name(module: &str, node: &str) -> String {
    format!("{module}@{node}")
}

/// Whether a name means a group: `MODULE@NODE`, or the name of its module.
pub fn is_named(name: &str, module: &str, node: &str) -> bool {
    name == module || name == group_name(module, node)
}

/// The id of the copy of an instance. Copy 0 is the instance itself.
pub fn copied(id: &str, copy: usize) -> String {
    match copy {
        0 => id.to_owned(),
        copy => format!("{id}+{copy}"),
    }
}

impl Module {
    /// The recorded nodes of its instances.
    pub fn nodes(&self) -> BTreeSet<&str> {
        self.instances
            .iter()
            .map(|instance| instance.node.as_str())
            .collect()
    }
}

impl Recording {
    /// Whether a name is that of a module or of a group. `None` if it is neither. If it could be both, it is a module.
    pub(super) fn named(&self, name: &str) -> Option<Named> {
        if self.modules.contains_key(name) {
            return Some(Named::Module);
        }
        // Names of modules and of nodes can contain `@`, too. So each `@` may be the separator.
        let mut places = name.match_indices('@').map(|(at, _)| at);
        let is_group = |at: usize| {
            let module = self.modules.get(&name[..at]);
            module.is_some_and(|module| module.nodes().contains(&name[at + 1..]))
        };
        places.any(is_group).then_some(Named::Group)
    }

    /// Module and recorded node of the only group that a name means. `None` if it means no group, or several.
    pub(super) fn group(&self, name: &str) -> Option<(&str, &str)> {
        let all = self.modules.iter();
        let all = all
            .flat_map(|(module, known)| known.nodes().into_iter().map(move |node| (module.as_str(), node)));
        let mut named = all.filter(|(module, node)| is_named(name, module, node));
        let first = named.next()?;
        named.next().is_none().then_some(first)
    }

    /// The recorded node of an instance or, if the instance was not recorded, of the first instance.
    pub(super) fn node_of(&self, module: &str, instance: &str) -> Option<&str> {
        Some(self.instance_of(module, instance)?.node.as_str())
    }

    /// The recorded station of an instance or, if the instance was not recorded, of the first instance.
    pub(super) fn station_of(&self, module: &str, instance: &str) -> Option<Station> {
        Some(self.instance_of(module, instance)?.station)
    }

    fn instance_of(&self, module: &str, instance: &str) -> Option<&Instance> {
        let instances = &self.modules.get(module)?.instances;
        let own = instances.iter().find(|known| known.id == instance);
        own.or(instances.first())
    }

    /// Stage and speed of a node in a placement.
    pub(super) fn figures_of(&self, placement: &Placement, node: &str) -> (String, Option<f64>) {
        let known = self.nodes.get(node);
        let changed = placement.nodes.get(node);
        let stage = changed
            .and_then(|changed| changed.stage)
            .map(|stage| stage.as_str());
        let stage = stage.or(known.map(|known| known.stage.as_str()));
        let mips_per_core = changed.and_then(|changed| changed.mips_per_core);
        (
            stage.unwrap_or("unknown").to_owned(),
            mips_per_core.or(known.and_then(|known| known.mips_per_core)),
        )
    }

    /// The names of all modules, and of the groups of each module that has several groups, for an error message.
    pub(super) fn known_names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.modules.keys().cloned().collect();
        for (name, module) in &self.modules {
            let nodes = module.nodes();
            let groups = nodes.iter().filter(|_| nodes.len() > 1);
            names.extend(groups.map(|node| group_name(name, node)));
        }
        names
    }
}

impl Placement {
    /// Changes to the instances of a module that were recorded on `node`. The entry of the group has priority over the entry of the module.
    pub fn of(&self, module: &str, node: &str) -> ModulePlace {
        let whole = self.modules.get(module).cloned().unwrap_or_default();
        match self.modules.get(&group_name(module, node)) {
            None => whole,
            Some(group) => ModulePlace {
                node: group.node.clone().or(whole.node),
                slots: group.slots.or(whole.slots),
                slot_policy: group.slot_policy.or(whole.slot_policy),
                queue_limit: group.queue_limit.or(whole.queue_limit),
                instances: whole.instances,
            },
        }
    }
}
