//! [`placement`]: an assignment as the file of `cctf run --stand-in --placement`.

use std::collections::{BTreeMap, BTreeSet};

use cctf_stack::stand_ins::Placement;
use cctf_stack::stand_ins::placement::{LinkPlace, ModulePlace, NodePlace, Slots};

use crate::assignments::{Assignment, Choices};
use crate::site::Site;
use crate::tiers::{Link, Tiers};

/// Slots by module, instead of the recorded ones.
pub type SlotChanges = BTreeMap<String, u32>;

/// What an assignment changes in the recorded deployment. Links and nodes that it does not concern are left out.
pub fn placement(
    site: &Site,
    tiers: &Tiers,
    choices: &Choices,
    assignment: &Assignment,
    slots: &SlotChanges,
) -> Placement {
    let recording = &site.recording;
    let mut placement = Placement::default();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for (module, choice) in site.modules.iter().zip(assignment) {
        let node = choice.map(|node| choices.nodes[node as usize].as_str());
        let nodes: Vec<&str> = match node {
            Some(node) => vec![node],
            None => module.nodes.iter().map(String::as_str).collect(),
        };
        used.extend(&nodes);
        let slots_max = nodes
            .iter()
            .filter_map(|node| tiers.nodes.get(*node)?.slots_max)
            .min();
        let recorded = recording.modules[&module.name].instances.iter();
        let recorded = recorded.filter_map(|instance| instance.station.slots).max();
        let limited = slots_max.filter(|max| recorded.is_some_and(|slots| slots > *max));
        let place = ModulePlace {
            node: node
                .filter(|node| module.nodes.len() > 1 || !module.nodes.contains(*node))
                .map(str::to_owned),
            slots: slots.get(&module.name).copied().or(limited).map(Slots::Count),
            ..ModulePlace::default()
        };
        if place != ModulePlace::default() {
            placement.modules.insert(module.name.clone(), place);
        }
    }
    for node in &used {
        let tier = &tiers.nodes[*node];
        let known = recording.nodes.get(*node);
        let place = NodePlace {
            stage: tier.stage,
            mips_per_core: tier
                .mips_per_core
                .map(|mips| mips * tier.speed_factor.unwrap_or(1.0)),
        };
        let is_as_recorded = known.is_some_and(|known| {
            place.stage.is_none_or(|stage| stage.as_str() == known.stage)
                && (place.mips_per_core.is_none() || place.mips_per_core == known.mips_per_core)
        });
        // A node without a row in the inventory can only be declared if a module moves there.
        let mut moved = placement.modules.values();
        let is_declarable = known.is_some() || moved.any(|place| place.node.as_deref() == Some(*node));
        if !is_as_recorded && is_declarable {
            placement.nodes.insert((*node).to_owned(), place);
        }
    }
    let is_declared = |node: &String| {
        used.contains(node.as_str()) || (node == tiers.outside() && recording.nodes.contains_key(node))
    };
    let links = tiers.links.iter();
    let has_figures = |link: &&Link| link.delay_ms.is_some() || link.rate_bps.is_some();
    let links = links
        .filter(|link| is_declared(&link.u) && is_declared(&link.v))
        .filter(has_figures);
    placement.links = links
        .map(|link| LinkPlace {
            u: link.u.clone(),
            v: link.v.clone(),
            delay_ms: link.delay_ms,
            rate_bps: link.rate_bps,
        })
        .collect();
    placement
}
