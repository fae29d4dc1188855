//! [`Group`]: the unit of placement, which is the instances of a module that were recorded on one node.

use std::collections::BTreeMap;

use cctf_stack::stand_ins::Recording;
use cctf_stack::stand_ins::groups::{group_name, is_named};
use plan::plan::{Cpu, Plan};
use plan::stations::Load;
use plan::work::{NONE, Waited};

/// A group that gets requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The module's name. If the module has instances on several nodes, with the recorded node: `cart@edge0`.
    pub name: String,
    pub module: String,
    /// The recorded node of its instances.
    pub node: String,
    pub invocations: u64,
    /// Invocations without a CPU time.
    pub cpu_unknown: u64,
    /// Invocations without a queue time, whose waits are in their own time.
    pub queue_unknown: u64,
    /// Sum of the CPU times, nanoseconds.
    pub cpu_ns: i64,
}

impl Group {
    /// Whether a name means this group: `MODULE@NODE`, or the name of its module.
    pub fn is_named(&self, name: &str) -> bool {
        is_named(name, &self.module, &self.node)
    }

    /// The value of the group in a table by group or module. An entry of the group wins over an entry of its module.
    pub fn value<'a, T>(&self, table: &'a BTreeMap<String, T>) -> Option<&'a T> {
        let own = table.get(&group_name(&self.module, &self.node));
        own.or_else(|| table.get(&self.module))
    }
}

/// The groups of a run by name, and for each instance the number of its group.
pub fn groups(plan: &Plan, load: &Load, recording: &Recording) -> (Vec<Group>, Vec<u32>) {
    let names = &load.names;
    let keys: Vec<(&str, &str)> = names
        .instances
        .iter()
        .map(|instance| {
            let module = names.modules[instance.module as usize].as_str();
            let known = recording.modules.get(module);
            let mut known = known.into_iter().flat_map(|known| &known.instances);
            let known = known.find(|known| known.id == instance.id);
            let node = known.map_or(&names.nodes[instance.node as usize], |known| &known.node);
            (module, node.as_str())
        })
        .collect();
    let mut by_key: BTreeMap<(&str, &str), Group> = BTreeMap::new();
    for invocation in plan.trees().flat_map(|tree| tree.invocations) {
        let (module, node) = keys[invocation.instance as usize];
        let group = by_key
            .entry((module, node))
            .or_insert_with(|| group(module, node, recording));
        let waited = plan.recorded.works[invocation.work as usize].waited;
        group.invocations += 1;
        group.cpu_unknown += u64::from(invocation.cpu == Cpu::Unknown);
        group.queue_unknown += u64::from(waited == Waited::Unknown);
        group.cpu_ns = group.cpu_ns.saturating_add(invocation.cpu.ns().unwrap_or(0));
    }
    let number = |key: &(&str, &str)| by_key.keys().position(|known| known == key);
    let of_instance = keys
        .iter()
        .map(|key| number(key).map_or(NONE, |number| number as u32));
    let of_instance = of_instance.collect();
    (by_key.into_values().collect(), of_instance)
}

fn group(module: &str, node: &str, recording: &Recording) -> Group {
    let known = recording.modules.get(module);
    let is_divided = known.is_some_and(|known| known.nodes().len() > 1);
    Group {
        name: match is_divided {
            true => group_name(module, node),
            false => module.to_owned(),
        },
        module: module.to_owned(),
        node: node.to_owned(),
        invocations: 0,
        cpu_unknown: 0,
        queue_unknown: 0,
        cpu_ns: 0,
    }
}
