//! [`Placed`]: the list of stand-ins: like the recorded instances, with the changes of a placement.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{PlacementError, STAND_INS_MAX};
use super::figures::Figures;
use super::groups::Named;
use super::pairs::pairs;
use super::placement::{EVENTS_MAX, Placement};
use super::recording::{Instance, Module, Recording};
use super::stages::{Stage, stages};
use super::stand_in::StandIn;

/// All stand-ins of a run.
#[derive(Debug, Clone)]
pub struct Placed {
    /// Stand-ins. A caller's stand-ins precede its callees' stand-ins, unless a cycle of calls prevents this order.
    pub stand_ins: Vec<StandIn>,
    /// The placement from each event on, in the order of time.
    pub stages: Vec<Stage>,
    /// Notes about instances that differ from the recording.
    pub notes: Vec<String>,
    /// Pairs of calling and called node.
    pub(super) pairs: BTreeSet<(String, String)>,
    pub(super) figures: Figures,
}

impl Placed {
    /// Checks the placement, and applies it.
    ///
    /// # Errors
    /// If the placement names something unknown or impossible, or there are too many instances.
    pub fn new(recording: &Recording, placement: &Placement) -> Result<Self, PlacementError> {
        let placed = Self::of_any_size(recording, placement)?;
        check_all(recording, &placed.stand_ins)?;
        Ok(placed)
    }

    /// Like [`Placed::new`], but does not check whether the stand-ins can be started. A prediction starts nothing, so it can have
    /// any number of instances.
    ///
    /// # Errors
    /// If the placement names something unknown or impossible.
    pub fn of_any_size(recording: &Recording, placement: &Placement) -> Result<Self, PlacementError> {
        check(recording, placement)?;
        let mut stand_ins = Vec::new();
        let mut notes = Vec::new();
        for name in callers_first(&recording.modules) {
            let module = &recording.modules[name];
            let listed = placement
                .modules
                .get(name)
                .and_then(|place| place.instances.as_deref());
            notes.extend(missing_note(name, module, listed));
            for instance in instances(module, listed) {
                let place = placement.of(name, &instance.node);
                let node = place.node.clone().unwrap_or(instance.node);
                let (stage, mips_per_core) = recording.figures_of(placement, &node);
                stand_ins.push(StandIn {
                    module: name.to_owned(),
                    instance: instance.id,
                    app_id: module.app_id.clone(),
                    stage,
                    mips_per_core,
                    station: place.change(instance.station),
                    node,
                });
            }
        }
        let mut pairs_of_all = pairs(recording, &stand_ins);
        let stages = stages(recording, placement, &mut stand_ins)?;
        pairs_of_all.extend(
            stages
                .iter()
                .flat_map(|stage| pairs(recording, &stage.of_recorded)),
        );
        Ok(Self {
            pairs: pairs_of_all,
            figures: Figures::new(recording, placement),
            stand_ins,
            stages,
            notes,
        })
    }

    /// The nodes with stand-ins, by name.
    pub fn nodes(&self) -> BTreeSet<&str> {
        self.stand_ins
            .iter()
            .map(|stand_in| stand_in.node.as_str())
            .collect()
    }
}

/// Returns an error for names that are not in the recording, and for values that no stand-in can have.
fn check(recording: &Recording, placement: &Placement) -> Result<(), PlacementError> {
    let is_node = |name: &String| {
        recording.nodes.contains_key(name)
            || placement.nodes.contains_key(name)
            || recording
                .modules
                .values()
                .flat_map(|module| &module.instances)
                .any(|instance| instance.node == *name)
    };
    for (module, place) in &placement.modules {
        let Some(named) = recording.named(module) else {
            return Err(PlacementError::NoModule {
                run: recording.run_id.clone(),
                module: module.clone(),
                known: listed(recording.known_names().iter()),
            });
        };
        if named == Named::Group && place.instances.is_some() {
            return Err(PlacementError::InstancesOfGroup(module.clone()));
        }
        place.check(module)?;
        if let Some(node) = place.node.as_ref().filter(|node| !is_node(node)) {
            return Err(PlacementError::NoNode {
                module: module.clone(),
                node: node.clone(),
                known: listed(recording.nodes.keys().chain(placement.nodes.keys())),
            });
        }
    }
    check_events(recording, placement, &is_node)?;
    for (name, node) in &placement.nodes {
        node.check(name)?;
        let is_used = placement
            .modules
            .values()
            .any(|module| module.node.as_ref() == Some(name))
            || placement
                .events
                .iter()
                .any(|event| event.node.as_ref() == Some(name));
        let is_recorded = recording.nodes.contains_key(name);
        if !is_used && !is_recorded {
            return Err(PlacementError::UnusedNode(name.clone()));
        }
    }
    let mut seen = BTreeSet::new();
    for link in &placement.links {
        if link.u == link.v {
            return Err(PlacementError::LinkToItself(link.u.clone()));
        }
        if !seen.insert((&link.u, &link.v)) {
            return Err(PlacementError::LinkTwice {
                u: link.u.clone(),
                v: link.v.clone(),
            });
        }
        if let Some(node) = [&link.u, &link.v].into_iter().find(|node| !is_node(node)) {
            return Err(PlacementError::NoLinkNode {
                u: link.u.clone(),
                v: link.v.clone(),
                node: node.clone(),
            });
        }
        Figures::check(link)?;
    }
    Ok(())
}

fn check_events(
    recording: &Recording,
    placement: &Placement,
    is_node: &dyn Fn(&String) -> bool,
) -> Result<(), PlacementError> {
    if placement.events.len() > EVENTS_MAX {
        return Err(PlacementError::TooManyEvents {
            count: placement.events.len(),
            max: EVENTS_MAX,
        });
    }
    for event in &placement.events {
        if let Some(node) = event.node.as_ref().filter(|node| !is_node(node)) {
            return Err(PlacementError::NoNode {
                module: event.module.clone(),
                node: node.clone(),
                known: listed(recording.nodes.keys().chain(placement.nodes.keys())),
            });
        }
    }
    Ok(())
}

/// Returns an error for stand-ins that cannot be started.
fn check_all(recording: &Recording, stand_ins: &[StandIn]) -> Result<(), PlacementError> {
    let run = || recording.run_id.clone();
    if stand_ins.is_empty() {
        return Err(PlacementError::NoModules(run()));
    }
    if stand_ins.len() > STAND_INS_MAX {
        return Err(PlacementError::TooMany {
            run: run(),
            count: stand_ins.len(),
            modules: recording.modules.len(),
        });
    }
    for stand_in in stand_ins {
        let names = [
            ("module", &stand_in.module),
            ("instance", &stand_in.instance),
            ("node", &stand_in.node),
        ];
        // Variables of the environment cannot contain NUL characters.
        if let Some((what, name)) = names
            .into_iter()
            .find(|(_, name)| name.is_empty() || name.contains('\0'))
        {
            return Err(PlacementError::Name {
                run: run(),
                what,
                name: name.clone(),
            });
        }
    }
    Ok(())
}

/// The first names of a list, for an error message.
fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    const SHOWN_MAX: usize = 10;
    let names: BTreeSet<&String> = names.collect();
    let mut shown: Vec<String> = names
        .iter()
        .take(SHOWN_MAX)
        .map(|name| format!("{name:?}"))
        .collect();
    if names.len() > SHOWN_MAX {
        shown.push("others".to_owned());
    }
    shown.join(", ")
}

/// The instances of a module, or those that the placement lists for it. A listed instance that was not recorded is like the
/// first recorded one.
fn instances(module: &Module, named: Option<&[String]>) -> Vec<Instance> {
    let Some(named) = named else {
        return module.instances.clone();
    };
    let like = |id: &String| {
        let recorded = module.instances.iter().find(|instance| instance.id == *id);
        let like = recorded.or(module.instances.first())?;
        Some(Instance {
            id: id.clone(),
            ..like.clone()
        })
    };
    named.iter().filter_map(like).collect()
}

fn missing_note(name: &str, module: &Module, named: Option<&[String]>) -> Option<String> {
    let named = named?;
    let missing = module
        .instances
        .iter()
        .filter(|instance| !named.contains(&instance.id))
        .count();
    let instances = if missing == 1 { "instance" } else { "instances" };
    (missing > 0).then(|| {
        format!(
            "{missing} recorded {instances} of {name} {} no stand-in: its {} in turn get the requests",
            if missing == 1 { "has" } else { "have" },
            named.len(),
        )
    })
}

/// The modules, sorted so that each one precedes the modules that it calls, unless a cycle of calls prevents it.
fn callers_first(modules: &BTreeMap<String, Module>) -> Vec<&str> {
    let mut done: Vec<&str> = Vec::with_capacity(modules.len());
    let mut seen = BTreeSet::new();
    for name in modules.keys() {
        // Modules on the path of calls from `name`, each with the callees that were not visited yet.
        let mut open = Vec::new();
        if seen.insert(name.as_str()) {
            open.push((name.as_str(), modules[name].calls.iter()));
        }
        while let Some((name, calls)) = open.last_mut() {
            match calls.next() {
                Some(callee) => {
                    if let Some((callee, module)) = modules.get_key_value(callee)
                        && seen.insert(callee.as_str())
                    {
                        open.push((callee.as_str(), module.calls.iter()));
                    }
                }
                None => {
                    done.push(*name);
                    open.pop();
                }
            }
        }
    }
    done.reverse();
    done
}
