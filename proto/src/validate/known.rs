//! [`Known`]: the nodes, modules and instances that rows may name.

use std::collections::{HashMap, HashSet};

use super::report::{Findings, Place};
use super::rules::Broken;
use crate::cctf::Stage;

/// The name of a node that nobody told; rows may have it, the inventory may not.
pub(super) const UNKNOWN_NODE: &str = "unknown";

/// What the inventories and the placement events list. `None` for an inventory that could not be read: its absence
/// is one finding and not one for each row.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub nodes: Option<HashMap<String, Stage>>,
    pub modules: Option<HashSet<String>>,
    /// By module. `None` when starts may lie in an earlier part of the run.
    pub started: Option<HashMap<String, HashSet<String>>>,
}

impl Known {
    /// Whether a row may name this node.
    pub fn is_node(&self, node: &str) -> bool {
        node == UNKNOWN_NODE || self.nodes.as_ref().is_none_or(|nodes| nodes.contains_key(node))
    }

    /// Checks a row's node, and its stage where the row has one.
    pub fn check_node(
        &self,
        (field, node): (&str, &str),
        stage: Option<Stage>,
        place: Place,
        findings: &mut Findings,
    ) {
        if !self.is_node(node) {
            findings.add(Broken::NodeKnown, place, || {
                format!("{field} {node:?} is not in nodes.json")
            });
        }
        let listed = self.nodes.as_ref().and_then(|nodes| nodes.get(node)).copied();
        // A stage that one side does not know contradicts nothing.
        if let (Some(listed), Some(stage)) = (listed, stage)
            && ![listed, stage].contains(&Stage::Unknown)
            && listed != stage
        {
            findings.add(Broken::StageConsistent, place, || {
                format!(
                    "stage is {}, but node {node:?} is {} in nodes.json",
                    stage.as_str(),
                    listed.as_str()
                )
            });
        }
    }

    /// Checks a module that a row names.
    pub fn check_module(&self, (field, module): (&str, &str), place: Place, findings: &mut Findings) {
        if self
            .modules
            .as_ref()
            .is_some_and(|modules| !modules.contains(module))
        {
            findings.add(Broken::ModuleKnown, place, || {
                format!("{field} {module:?} is not in module_inventory.json")
            });
        }
    }

    /// Checks that an instance has started; each is reported once.
    pub fn check_instance(&mut self, module: &str, instance: &str, place: Place, findings: &mut Findings) {
        let Some(started) = &mut self.started else { return };
        if started
            .get(module)
            .is_some_and(|instances| instances.contains(instance))
        {
            return;
        }
        findings.add(Broken::InstanceStarted, place, || {
            format!("instance {instance:?} of module {module:?} has no start in placement_events.jsonl")
        });
        started
            .entry(module.to_owned())
            .or_default()
            .insert(instance.to_owned());
    }
}
