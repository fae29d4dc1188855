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
    let mut placement = Placement::default();
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for (module, choice) in site.modules.iter().zip(assignment) {
        let node = choice.map(|node| choices.nodes[node as usize].as_str());
        let nodes: Vec<&str> = match node {
            Some(node) => vec![node],
            None => module.nodes.iter().map(String::as_str).collect(),
        };
        let is_other = |node: &&str| module.nodes.len() > 1 || !module.nodes.contains(*node);
        let slots_changed = slots.get(&module.name).copied();
        let place = ModulePlace {
            node: node.filter(is_other).map(str::to_owned),
            slots: slots_changed
                .or(limited_slots(site, tiers, &module.name, &nodes))
                .map(Slots::Count),
            ..ModulePlace::default()
        };
        used.extend(&nodes);
        if place != ModulePlace::default() {
            placement.modules.insert(module.name.clone(), place);
        }
    }
    for node in &used {
        add_node(&mut placement, site, tiers, node);
    }
    placement.links = links(site, tiers, &used);
    placement
}

/// The slots of a module's instances where nodes allow fewer than recorded.
fn limited_slots(site: &Site, tiers: &Tiers, module: &str, nodes: &[&str]) -> Option<u32> {
    let slots_max = nodes.iter().filter_map(|node| tiers.nodes.get(*node)?.slots_max);
    let recorded = site.recording.modules[module].instances.iter();
    let recorded = recorded.filter_map(|instance| instance.station.slots).max()?;
    slots_max.min().filter(|max| recorded > *max)
}

/// Declares a node, if it is new or not as recorded. A node without a row in the inventory can only be declared if a module moves there.
fn add_node(placement: &mut Placement, site: &Site, tiers: &Tiers, node: &str) {
    let tier = &tiers.nodes[node];
    let known = site.recording.nodes.get(node);
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
    let mut modules = placement.modules.values();
    let is_declarable = known.is_some() || modules.any(|place| place.node.as_deref() == Some(node));
    if !is_as_recorded && is_declarable {
        placement.nodes.insert(node.to_owned(), place);
    }
}

/// The links of the tiers between nodes in use, and from the load driver.
fn links(site: &Site, tiers: &Tiers, used: &BTreeSet<&str>) -> Vec<LinkPlace> {
    let is_declared = |node: &String| {
        used.contains(node.as_str()) || (node == tiers.outside() && site.recording.nodes.contains_key(node))
    };
    let has_figures = |link: &Link| link.delay_ms.is_some() || link.rate_bps.is_some();
    let links = tiers.links.iter();
    let links = links.filter(|link| is_declared(&link.u) && is_declared(&link.v) && has_figures(link));
    links
        .map(|link| LinkPlace {
            u: link.u.clone(),
            v: link.v.clone(),
            delay_ms: link.delay_ms,
            rate_bps: link.rate_bps,
        })
        .collect()
}
