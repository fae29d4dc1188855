//! [`parse`]: the placements that a strategy writes.

use std::collections::{BTreeMap, BTreeSet};

use cctf_stack::stand_ins::placement::EVENTS_MAX;
use cli::document::{Document, Item};

use super::error::StrategyError;
use crate::assignments::{Assignment, Choices};
use crate::events::{self, Action, Event, When};
use crate::predictor::Candidate;
use crate::ranking::Proposal;
use crate::site::Site;
use crate::tiers::error::listed;

/// Maximum number of placements of one strategy: each is simulated with all further loads.
pub const PLACEMENTS_MAX: usize = 64;
/// Maximum length of a name, characters.
const NAME_MAX: usize = 100;
const EXAMPLE: &str = r#"{"placements": [{"modules": {"cart": "cloud0"}}]}"#;

/// Parses the output of a program. A module without a node stays as recorded.
///
/// # Errors
/// If it is something else, names something unknown, or breaks a rule of the tiers.
pub fn parse(
    program: &str,
    output: &[u8],
    site: &Site,
    choices: &Choices,
) -> Result<Vec<Proposal>, StrategyError> {
    let garbage = |cause: String| StrategyError::Garbage {
        program: program.to_owned(),
        cause,
    };
    let document = Document::parse(output).map_err(garbage)?;
    let placements = || -> Result<Vec<Item<'_>>, String> {
        let fields = document.fields(EXAMPLE)?.only(&["placements"])?;
        let list = fields.required("placements")?.list()?;
        match list.is_empty() {
            true => Err("placements is empty".to_owned()),
            false => Ok(list),
        }
    };
    let placements = placements().map_err(garbage)?;
    if placements.len() > PLACEMENTS_MAX {
        return Err(StrategyError::TooMany {
            program: program.to_owned(),
            count: placements.len(),
            max: PLACEMENTS_MAX,
        });
    }
    let parsed = placements.iter().zip(1..).map(|(item, number)| {
        let (name, modules) = placement(item, number).map_err(garbage)?;
        let assignment = assignment(program, &modules, site, choices)?;
        let events = events(item, site, choices).map_err(garbage)?;
        if !is_allowed(choices, &assignment, &events) {
            return Err(StrategyError::NotAllowed {
                program: program.to_owned(),
                name,
            });
        }
        Ok(Proposal {
            by: program.to_owned(),
            name,
            candidate: Candidate { assignment, events },
        })
    });
    parsed.collect()
}

/// Name of a placement, and its modules with their nodes.
fn placement(item: &Item<'_>, number: usize) -> Result<(String, Vec<(String, String)>), String> {
    let fields = item.fields()?.only(&["name", "modules", "events"])?;
    let name = match fields.get("name") {
        Some(name) => name.text()?.chars().take(NAME_MAX).collect(),
        None => number.to_string(),
    };
    let modules = fields.required("modules")?.fields()?;
    let modules = modules
        .all()
        .map(|(module, node)| Ok((module.to_owned(), node.text()?.to_owned())));
    Ok((name, modules.collect::<Result<_, String>>()?))
}

fn events(item: &Item<'_>, site: &Site, choices: &Choices) -> Result<Vec<Event>, String> {
    let Some(list) = item.fields()?.get("events") else {
        return Ok(Vec::new());
    };
    let items = list.list()?;
    if items.len() > EVENTS_MAX {
        return Err(list.must_be(&format!("a list of at most {EVENTS_MAX} events")));
    }
    items
        .iter()
        .map(|item| events::parse(item, site, choices))
        .collect()
}

/// Whether the rules allow an assignment, and everything that its events can make of it. An event at a utilisation can happen at
/// any time, or never.
fn is_allowed(choices: &Choices, assignment: &Assignment, events: &[Event]) -> bool {
    let mut at_any_time = vec![BTreeSet::new(); assignment.len()];
    let mut at_times = Vec::new();
    for event in events {
        match (event.action, event.when) {
            (Action::Migrate(node), When::At(at_ns)) => at_times.push((at_ns, event.group, node)),
            (Action::Migrate(node), When::Above(_)) => {
                at_any_time[event.group as usize].insert(node);
            }
            (Action::Scale(_), _) => {}
        }
    }
    // Stable: events at the same time happen in the order of the list.
    at_times.sort_by_key(|(at_ns, _, _)| *at_ns);
    let is_allowed = |now: &Assignment| {
        let nodes = now.iter().zip(&at_any_time).map(|(node, others)| {
            let mut nodes = others.clone();
            nodes.insert(*node);
            nodes
        });
        choices.are_all_allowed(&nodes.collect::<Vec<_>>())
    };
    let mut now = assignment.clone();
    let mut later = at_times
        .chunk_by(|(one, _, _), (next, _, _)| one == next)
        .map(|at_once| {
            for (_, group, node) in at_once {
                now[*group as usize] = *node;
            }
            now.clone()
        });
    is_allowed(assignment) && later.all(|now| is_allowed(&now))
}

fn assignment(
    program: &str,
    modules: &[(String, String)],
    site: &Site,
    choices: &Choices,
) -> Result<Assignment, StrategyError> {
    let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
    for (module, node) in modules {
        if !site.groups.iter().any(|group| group.is_named(module)) {
            return Err(StrategyError::UnknownModule {
                program: program.to_owned(),
                module: module.clone(),
                known: listed(site.groups.iter().map(|group| &group.name)),
            });
        }
        let Some(number) = choices.nodes.iter().position(|known| known == node) else {
            return Err(StrategyError::UnknownNode {
                program: program.to_owned(),
                module: module.clone(),
                node: node.clone(),
                known: listed(&choices.nodes),
            });
        };
        numbers.insert(module.clone(), number as u32);
    }
    let recorded = site.groups.iter().zip(choices.recorded());
    let placed = recorded.map(|(group, recorded)| *group.value(&numbers).unwrap_or(recorded));
    Ok(placed.collect())
}
