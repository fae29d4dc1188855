//! [`placement`]: an assignment as the file of `cctf run --stand-in --placement`.

use std::collections::{BTreeMap, BTreeSet};

use cctf_stack::stand_ins::Placement;
use cctf_stack::stand_ins::placement::{EventPlace, EventSlots, LinkPlace, ModulePlace, NodePlace, Slots};

use crate::assignments::{Assignment, Choices};
use crate::groups::Group;
use crate::site::Site;
use crate::tiers::{Link, Tiers};

/// Slots by group or module, instead of the recorded ones.
pub type SlotChanges = BTreeMap<String, u32>;

/// The changes that an assignment and later events make to the recorded deployment. Links and nodes that they do not concern are
/// left out.
pub fn placement(
    site: &Site,
    tiers: &Tiers,
    choices: &Choices,
    assignment: &Assignment,
    slots: &SlotChanges,
    events: &[EventPlace],
) -> Placement {
    let mut placement = Placement {
        events: events.to_vec(),
        ..Placement::default()
    };
    let to = events.iter().filter_map(|event| event.node.as_deref());
    let mut used: BTreeSet<&str> = to.collect();
    for (group, choice) in site.groups.iter().zip(assignment) {
        let node = choices.nodes[*choice as usize].as_str();
        let place = ModulePlace {
            node: (node != group.node).then(|| node.to_owned()),
            slots: slots_on((site, tiers), slots, group, node),
            ..ModulePlace::default()
        };
        used.insert(node);
        if place != ModulePlace::default() {
            placement.modules.insert(group.name.clone(), place);
        }
    }
    for node in &used {
        add_node(&mut placement, site, tiers, node);
    }
    placement.links = links(site, tiers, &used);
    placement
}

/// The slots of a group's instances after a migration to `node`. `None`: as many as on `first`, the group's node at the start of
/// the run.
pub fn event_slots(
    (site, tiers): (&Site, &Tiers),
    slots: &SlotChanges,
    group: &Group,
    [first, node]: [&str; 2],
) -> Option<EventSlots> {
    let [first, now] = [first, node].map(|node| slots_on((site, tiers), slots, group, node));
    (first != now).then(|| now.map_or(EventSlots::Recorded, EventSlots::Set))
}

/// The slots of a group's instances on a node. `None`: as recorded.
fn slots_on((site, tiers): (&Site, &Tiers), slots: &SlotChanges, group: &Group, node: &str) -> Option<Slots> {
    let changed = group.value(slots).copied();
    changed
        .or_else(|| limited_slots(site, tiers, group, node))
        .map(Slots::Count)
}

/// The slots of a group's instances if a node allows fewer than recorded.
fn limited_slots(site: &Site, tiers: &Tiers, group: &Group, node: &str) -> Option<u32> {
    let slots_max = tiers.nodes.get(node)?.slots_max?;
    let instances = site.recording.modules[&group.module].instances.iter();
    let of_group = instances.filter(|instance| instance.node == group.node);
    let recorded = of_group.filter_map(|instance| instance.station.slots).max()?;
    (recorded > slots_max).then_some(slots_max)
}

/// Declares a node, if it is new or not as recorded. A node without a row in the inventory can only be declared if a module moves
/// there.
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
    let nodes = placement.modules.values().map(|place| &place.node);
    let mut nodes = nodes.chain(placement.events.iter().map(|event| &event.node));
    let is_declarable = known.is_some() || nodes.any(|place| place.as_deref() == Some(node));
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
