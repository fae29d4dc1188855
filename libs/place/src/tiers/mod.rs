//! [`Tiers`]: the user's file that describes where modules may run: nodes, links, and rules.
//!
//! - [`read`]: reads the file; [`check`]: checks it against a recorded run, and fills in recorded values.
//! - [`error`]: the errors of the file.

pub mod check;
pub mod error;
mod read;

use std::collections::{BTreeMap, BTreeSet};

use cctf_stack::stand_ins::placement::Stage;

pub use error::TiersError;

use crate::groups::Group;

/// Node of the load driver, unless the file names another one. It is the default of `cctf run`.
pub const DRIVER_NODE: &str = "driver0";

/// Where modules may run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tiers {
    pub nodes: BTreeMap<String, Node>,
    pub links: Vec<Link>,
    /// The links of the file. They also describe recorded links whose figures the recording lacks.
    pub stated_links: Vec<Link>,
    /// Rules by group or module.
    pub modules: BTreeMap<String, Rule>,
    /// Node from which requests from outside come. `None`: [`DRIVER_NODE`].
    pub outside: Option<String>,
}

/// A node. A value that is `None` is as recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node {
    pub cores: Option<u32>,
    /// Nodes with the same host share its CPUs.
    pub host: Option<String>,
    pub stage: Option<Stage>,
    /// Million instructions per second and core.
    pub mips_per_core: Option<f64>,
    /// Another measure of speed, as in `nodes.json`.
    pub cpu_score: Option<f64>,
    /// A factor on the speed; `None`: 1. Only the change of a what-if sets it.
    pub speed_factor: Option<f64>,
    /// Maximum number of slots of an instance there.
    pub slots_max: Option<u32>,
    /// Maximum number of groups there.
    pub modules_max: Option<u32>,
    pub price_per_hour: Option<f64>,
    pub power_idle_w: Option<f64>,
    pub power_max_w: Option<f64>,
}

/// A link between two nodes. It is used for both directions, unless the file has another link for the other direction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Link {
    /// Calling node.
    pub u: String,
    /// Called node.
    pub v: String,
    /// One way, milliseconds.
    pub delay_ms: Option<u64>,
    /// In each direction, bits per second.
    pub rate_bps: Option<u64>,
    /// For 10^9 bytes.
    pub price_per_gb: Option<f64>,
}

/// Where a group or a module may run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// `None`: on all nodes.
    pub on: Option<BTreeSet<String>>,
    pub not_on: BTreeSet<String>,
}

impl Tiers {
    pub fn outside(&self) -> &str {
        self.outside.as_deref().unwrap_or(DRIVER_NODE)
    }

    /// The link over which `u` calls `v`, or else the link of the other direction.
    pub fn link(&self, u: &str, v: &str) -> Option<&Link> {
        find(&self.links, u, v)
    }

    /// Like [`Self::link`], but among the links that the file states.
    pub fn stated_link(&self, u: &str, v: &str) -> Option<&Link> {
        find(&self.stated_links, u, v)
    }

    /// Fixes a group or a module to a node, in addition to the file.
    pub fn pin(&mut self, module: &str, node: &str) {
        let rule = self.modules.entry(module.to_owned()).or_default();
        rule.on = Some(BTreeSet::from([node.to_owned()]));
    }

    /// Excludes a node for a group or a module, in addition to the file.
    pub fn exclude(&mut self, module: &str, node: &str) {
        let rule = self.modules.entry(module.to_owned()).or_default();
        rule.not_on.insert(node.to_owned());
    }

    /// The host whose CPUs a node has: its own name, if the tiers do not state a host.
    pub fn host<'a>(&'a self, node: &'a str) -> &'a str {
        let known = self.nodes.get(node);
        known.and_then(|known| known.host.as_deref()).unwrap_or(node)
    }

    /// Whether the rules of a group and of its module let the group run on a node.
    pub fn allows(&self, group: &Group, node: &str) -> bool {
        let mut rules = self.modules.iter().filter(|(name, _)| group.is_named(name));
        rules.all(|(_, rule)| {
            let is_on = rule.on.as_ref().is_none_or(|on| on.contains(node));
            is_on && !rule.not_on.contains(node)
        })
    }
}

fn find<'a>(links: &'a [Link], u: &str, v: &str) -> Option<&'a Link> {
    let find = |u: &str, v: &str| links.iter().find(|link| link.u == u && link.v == v);
    find(u, v).or_else(|| find(v, u))
}
