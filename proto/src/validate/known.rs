//! [`Known`]: the nodes, modules and instances that rows may name.

// Each row needs four lookups. With the standard library's hash, these would be a tenth of all instructions. This hash also has
// a random seed.
use foldhash::{HashMap, HashSet};

use super::report::{Findings, Place};
use super::rules::Broken;
use crate::cctf::Stage;

/// Name of a node that was not reported. Rows may contain it, the inventory must not.
pub(super) const UNKNOWN_NODE: &str = "unknown";

/// Instances that started, by module.
pub(super) type Started = HashMap<String, HashSet<String>>;

/// The entries of the inventories, and the instances in placement events. A missing or unreadable inventory is `None`, so that
/// it causes one finding instead of one for each row.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub nodes: Option<HashMap<String, Stage>>,
    pub modules: Option<HashSet<String>>,
    /// `None` if starts may be in an earlier part of the run.
    pub started: Option<Started>,
}

impl Known {
    /// Whether a row may name this node.
    pub fn is_node(&self, node: &str) -> bool {
        node == UNKNOWN_NODE || self.nodes.as_ref().is_none_or(|nodes| nodes.contains_key(node))
    }

    /// Checks the node of a row, and its stage if it has one.
    pub fn check_node(
        &self,
        (field, node): (&str, &str),
        stage: Option<Stage>,
        place: Place,
        findings: &mut Findings,
    ) {
        let listed = self.nodes.as_ref().and_then(|nodes| nodes.get(node)).copied();
        if listed.is_none() && !self.is_node(node) {
            findings.add(Broken::NodeKnown, place, || {
                format!("{field} {node:?} is not in nodes.json")
            });
        }
        // An unknown stage does not contradict any other stage.
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

    /// Checks that an instance has started. Reports each instance once.
    pub fn check_instance(&mut self, module: &str, instance: &str, place: Place, findings: &mut Findings) {
        let Some(started) = &mut self.started else { return };
        if started
            .get(module)
            .is_some_and(|instances| instances.contains(instance))
        {
            return;
        }
        findings.add(Broken::InstanceStarted, place, || {
            format!("instance {instance:?} of module {module:?} has no start event in placement_events.jsonl")
        });
        started
            .entry(module.to_owned())
            .or_default()
            .insert(instance.to_owned());
    }
}
