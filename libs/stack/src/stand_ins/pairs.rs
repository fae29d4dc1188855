//! [`pairs`]: the nodes whose stand-ins call each other.

use std::collections::{BTreeMap, BTreeSet};

use super::recording::{Instance, Recording};
use super::stand_in::StandIn;

/// The nodes of each module's stand-ins.
struct Nodes<'a> {
    by_instance: BTreeMap<InstanceName<'a>, &'a str>,
    all: BTreeMap<&'a str, BTreeSet<&'a str>>,
}

/// Pairs of calling and called node. The module inventory lists which modules call each other, and `links.json` between which
/// nodes calls were made.
pub(super) fn pairs(recording: &Recording, stand_ins: &[StandIn]) -> BTreeSet<(String, String)> {
    let nodes = Nodes::new(stand_ins);
    let mut pairs = BTreeSet::new();
    for (caller, module) in &recording.modules {
        for callee in &module.calls {
            let Some(called) = recording.modules.get(callee) else {
                continue;
            };
            for from in &module.instances {
                for to in called.instances.iter().filter(|to| may_call(recording, from, to)) {
                    pairs.extend(nodes.between((caller, &from.id), (callee, &to.id)));
                }
            }
        }
    }
    pairs
}

/// Module and id of a recorded instance.
pub type InstanceName<'a> = (&'a str, &'a str);
/// Pairs of calling and called instance, from the rows of a run.
pub type Called<'a> = BTreeSet<[InstanceName<'a>; 2]>;

/// The pairs of nodes between which stand-ins repeat recorded calls. The inventories of a run can lack some of them.
pub(super) fn pairs_of_calls(stand_ins: &[StandIn], called: &Called<'_>) -> BTreeSet<(String, String)> {
    let nodes = Nodes::new(stand_ins);
    let pairs = called.iter().flat_map(|[from, to]| nodes.between(*from, *to));
    pairs.collect()
}

/// Whether an instance may have called another one. If the recording has no links at all, any instance may have called any other
/// one.
fn may_call(recording: &Recording, from: &Instance, to: &Instance) -> bool {
    from.node == to.node
        || recording.links.is_empty()
        || recording
            .links
            .contains_key(&(from.node.clone(), to.node.clone()))
}

impl<'a> Nodes<'a> {
    fn new(stand_ins: &'a [StandIn]) -> Self {
        let (mut by_instance, mut all) = (BTreeMap::new(), BTreeMap::<_, BTreeSet<_>>::new());
        for one in stand_ins {
            let node = one.node.as_str();
            by_instance.insert((one.module.as_str(), one.instance.as_str()), node);
            all.entry(one.module.as_str()).or_default().insert(node);
        }
        Self { by_instance, all }
    }

    /// The pairs of nodes over which stand-ins repeat the calls of an instance to another one.
    fn between(&self, from: InstanceName<'_>, to: InstanceName<'_>) -> Vec<(String, String)> {
        let to = self.of(to);
        let pairs = self
            .of(from)
            .into_iter()
            .flat_map(|u| to.iter().map(move |v| (u, *v)));
        let pairs = pairs.filter(|(u, v)| u != v);
        pairs.map(|(u, v)| (u.to_owned(), v.to_owned())).collect()
    }

    /// The node of an instance's stand-in. If the instance has none, all nodes of its module, because the stand-ins there get
    /// its requests in turn.
    fn of(&self, instance: InstanceName<'_>) -> BTreeSet<&'a str> {
        match self.by_instance.get(&instance) {
            Some(node) => BTreeSet::from([*node]),
            None => self.all.get(instance.0).cloned().unwrap_or_default(),
        }
    }
}
