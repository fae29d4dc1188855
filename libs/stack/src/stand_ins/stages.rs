//! [`stages`]: the events of a placement, and the stand-ins that they need.
//!
//! All stand-ins are started before the first request. An event only decides which of them get the requests that arrive from outside
//! after it.

use std::collections::BTreeMap;

use plan::work::Station;

use super::error::PlacementError;
use super::groups::{copied, group_name};
use super::placement::{EventPlace, EventSlots, Placement};
use super::recording::Recording;
use super::stand_in::StandIn;

/// The state of a placement from an event on.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Seconds after the first request.
    pub at_s: f64,
    /// The module that moved or was scaled.
    pub module: String,
    /// The node of the module's stand-ins before the event. `node` is their node after it.
    pub from: String,
    pub node: String,
    /// The number of its stand-ins on the node, if it was scaled.
    pub replicas: Option<u32>,
    pub reason: Option<String>,
    /// The ids of the stand-ins that take turns with the requests of a recorded instance, by module and instance.
    pub turns: BTreeMap<(String, String), Vec<String>>,
    /// A stand-in for each recorded instance, at its place after the event.
    pub of_recorded: Vec<StandIn>,
}

/// The current state of a group, while the events are applied one after the other.
struct Group {
    node: String,
    replicas: Option<u32>,
    /// Slots of its stand-ins on the node. `None`: as many as the stand-ins started with.
    slots: Option<EventSlots>,
}

/// The stages of a placement in the order of time. Adds the stand-ins that they need.
pub(super) fn stages(
    recording: &Recording,
    placement: &Placement,
    stand_ins: &mut Vec<StandIn>,
) -> Result<Vec<Stage>, PlacementError> {
    let first = stand_ins.clone();
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut turns = BTreeMap::new();
    let mut of_recorded = first.clone();
    let mut events: Vec<&EventPlace> = placement.events.iter().collect();
    events.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    let mut stages = Vec::new();
    for event in events {
        let (module, recorded_node) =
            recording
                .group(&event.module)
                .ok_or_else(|| PlacementError::EventModule {
                    module: event.module.clone(),
                    known: recording.known_names().into_iter().collect::<Vec<_>>().join(", "),
                })?;
        if placement
            .modules
            .get(module)
            .is_some_and(|place| place.instances.is_some())
        {
            return Err(PlacementError::EventOfListed(module.to_owned()));
        }
        let is_member = |one: &&StandIn| {
            one.module == module && recording.node_of(module, &one.instance) == Some(recorded_node)
        };
        let members: Vec<&StandIn> = first.iter().filter(is_member).collect();
        let Some(begin) = members.first() else { continue };
        let group = groups
            .entry(group_name(module, recorded_node))
            .or_insert_with(|| Group {
                node: begin.node.clone(),
                replicas: None,
                slots: None,
            });
        let from = group.node.clone();
        if let Some(node) = &event.node {
            group.node.clone_from(node);
            group.slots = event.slots;
        }
        group.replicas = event.replicas.or(group.replicas);
        let ids = needed(recording, placement, &members, group, stand_ins)?;
        for (number, member) in members.iter().enumerate() {
            let ids = match group.replicas {
                Some(_) => ids.clone(),
                None => vec![ids[number].clone()],
            };
            turns.insert((member.module.clone(), member.instance.clone()), ids);
        }
        for one in of_recorded.iter_mut().filter(|one| is_member(&&**one)) {
            one.node.clone_from(&group.node);
        }
        stages.push(Stage {
            at_s: event.at_s,
            module: module.to_owned(),
            from,
            node: group.node.clone(),
            replicas: event.replicas,
            reason: event.reason.clone(),
            turns: turns.clone(),
            of_recorded: of_recorded.clone(),
        });
    }
    Ok(stages)
}

/// The ids of a group's stand-ins. Adds the missing ones.
fn needed(
    recording: &Recording,
    placement: &Placement,
    members: &[&StandIn],
    group: &Group,
    stand_ins: &mut Vec<StandIn>,
) -> Result<Vec<String>, PlacementError> {
    let count = group.replicas.map_or(members.len(), |replicas| replicas as usize);
    let mut ids = Vec::with_capacity(count);
    for place in 0..count {
        let like = members.get(place).unwrap_or(&members[0]);
        let mut id = copied(&like.instance, (place + 1).saturating_sub(members.len()));
        if like.node != group.node {
            id = format!("{id}@{}", group.node);
        }
        let station = station(recording, like, group.slots);
        let mut started = stand_ins.iter();
        let started = started.find(|one| one.module == like.module && one.instance == id);
        if let Some(started) = started {
            if started.station.slots != station.slots {
                return Err(PlacementError::EventSlots {
                    module: like.module.clone(),
                    instance: id,
                    started: shown(started.station),
                    wanted: shown(station),
                });
            }
        } else {
            let (stage, mips_per_core) = recording.figures_of(placement, &group.node);
            stand_ins.push(StandIn {
                instance: id.clone(),
                node: group.node.clone(),
                stage,
                mips_per_core,
                station,
                ..(*like).clone()
            });
        }
        ids.push(id);
    }
    Ok(ids)
}

/// The station of an added stand-in. It equals the station of `like`, except for the slots of an event.
fn station(recording: &Recording, like: &StandIn, slots: Option<EventSlots>) -> Station {
    let recorded = || recording.station_of(&like.module, &like.instance);
    let slots = match slots {
        None => like.station.slots,
        Some(EventSlots::Recorded) => recorded().unwrap_or(like.station).slots,
        Some(EventSlots::Set(slots)) => slots.count(),
    };
    Station {
        slots,
        ..like.station
    }
}

fn shown(station: Station) -> String {
    let slots = station.slots;
    slots.map_or_else(|| "unlimited".to_owned(), |slots| slots.to_string())
}
