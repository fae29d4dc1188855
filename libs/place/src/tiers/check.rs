//! [`Tiers::complete`]: checks tiers against a recorded run, and fills in the values that the file leaves to the recording.

use std::collections::{BTreeMap, BTreeSet};

use cctf_stack::stand_ins::Recording;
use cctf_stack::stand_ins::recording;

use super::error::{TiersError, listed};
use super::{Node, Tiers};
use crate::groups::Group;

impl Tiers {
    /// The nodes of a recording, without links: all figures are as recorded. Nodes of one machine share its CPUs.
    pub fn recorded(recording: &Recording, groups: &[Group]) -> Self {
        let mut tiers = Self::default();
        for (node, _) in recorded_nodes(recording, groups) {
            tiers.nodes.entry(node.to_owned()).or_default();
        }
        tiers.fill(recording);
        tiers
    }

    /// Checks the tiers, and fills in the recorded values of their nodes. `groups` are the groups that get requests.
    ///
    /// # Errors
    /// If something is named that does not exist, a recorded node is not named, or a module may run nowhere.
    pub fn complete(mut self, recording: &Recording, groups: &[Group]) -> Result<Self, TiersError> {
        if self.nodes.is_empty() {
            return Err(TiersError::NoNodes);
        }
        for (node, module) in recorded_nodes(recording, groups) {
            if !self.nodes.contains_key(node) {
                return Err(TiersError::RecordedNode {
                    node: node.to_owned(),
                    module: module.to_owned(),
                });
            }
        }
        self.check_outside(recording)?;
        self.check_links()?;
        self.check_rules(recording, groups)?;
        self.fill(recording);
        self.stated_links = self.links.clone();
        self.check_cores()?;
        let room = self.nodes.values();
        let room: u64 = room
            .map(|node| u64::from(node.modules_max.unwrap_or(u32::MAX)))
            .sum();
        if room < groups.len() as u64 {
            return Err(TiersError::NoRoom {
                room,
                modules: groups.len(),
            });
        }
        Ok(self)
    }

    fn check_outside(&self, recording: &Recording) -> Result<(), TiersError> {
        let Some(outside) = &self.outside else {
            return Ok(());
        };
        let has_link = |link: &super::Link| link.u == *outside || link.v == *outside;
        let is_known = self.nodes.contains_key(outside)
            || recording.nodes.contains_key(outside)
            || self.links.iter().any(has_link);
        match is_known {
            true => Ok(()),
            false => Err(TiersError::Outside(outside.clone())),
        }
    }

    fn check_links(&self) -> Result<(), TiersError> {
        let mut seen = BTreeSet::new();
        for link in &self.links {
            if link.u == link.v {
                return Err(TiersError::LinkToItself(link.u.clone()));
            }
            if !seen.insert((&link.u, &link.v)) {
                return Err(TiersError::LinkTwice {
                    u: link.u.clone(),
                    v: link.v.clone(),
                });
            }
            let is_known = |node: &str| self.nodes.contains_key(node) || node == self.outside();
            if let Some(node) = [&link.u, &link.v].into_iter().find(|node| !is_known(node)) {
                return Err(self.unknown_node(format!("the link {:?} to {:?}", link.u, link.v), node));
            }
        }
        Ok(())
    }

    fn check_rules(&self, recording: &Recording, groups: &[Group]) -> Result<(), TiersError> {
        for (name, rule) in &self.modules {
            if !groups.iter().any(|group| group.is_named(name)) {
                return Err(TiersError::UnknownModule {
                    place: "a rule".to_owned(),
                    module: name.clone(),
                    run: recording.run_id.clone(),
                    known: listed(groups.iter().map(|group| &group.name)),
                });
            }
            let named = rule.on.iter().flatten().chain(&rule.not_on);
            if let Some(node) = named.into_iter().find(|node| !self.nodes.contains_key(*node)) {
                return Err(self.unknown_node(format!("the rule of module {name:?}"), node));
            }
        }
        let is_nowhere = |group: &&Group| !self.nodes.keys().any(|node| self.allows(group, node));
        match groups.iter().find(is_nowhere) {
            Some(group) => Err(TiersError::PinnedNowhere {
                module: group.name.clone(),
                known: listed(self.nodes.keys()),
            }),
            None => Ok(()),
        }
    }

    /// The error for a name that is no node of these tiers.
    pub fn unknown_node(&self, place: String, node: &str) -> TiersError {
        TiersError::UnknownNode {
            place,
            node: node.to_owned(),
            known: listed(self.nodes.keys()),
        }
    }

    fn fill(&mut self, recording: &Recording) {
        for (name, node) in &mut self.nodes {
            if let Some(known) = recording.nodes.get(name) {
                fill(node, known);
            }
        }
    }

    fn check_cores(&self) -> Result<(), TiersError> {
        let mut hosts: BTreeMap<&str, u32> = BTreeMap::new();
        for (name, node) in &self.nodes {
            let Some(cores) = node.cores else {
                return Err(TiersError::NoCores(name.clone()));
            };
            let Some(host) = &node.host else { continue };
            let first = *hosts.entry(host).or_insert(cores);
            if first != cores {
                return Err(TiersError::HostCores {
                    host: host.clone(),
                    first,
                    other: cores,
                });
            }
        }
        Ok(())
    }
}

/// The nodes on which modules with requests ran, each with one of them.
fn recorded_nodes<'a>(
    recording: &'a Recording,
    groups: &'a [Group],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let has_requests = |name: &str| groups.iter().any(|group| group.module == name);
    let used = recording
        .modules
        .iter()
        .filter(move |(name, _)| has_requests(name));
    let of_all = used.flat_map(|(name, module)| {
        let instances = module.instances.iter();
        instances.map(move |instance| (instance.node.as_str(), name.as_str()))
    });
    // An instance that the inventory lacks is on the node of its rows.
    of_all.chain(
        groups
            .iter()
            .map(|group| (group.node.as_str(), group.module.as_str())),
    )
}

/// Fills in what a recorded node is known to have. Recorded cores are shared with the other nodes of the same machine. A recorded
/// measure of speed only counts if the file has none, because two measures could contradict each other.
fn fill(node: &mut Node, known: &recording::Node) {
    if node.cores.is_none() {
        let cores = known.cpu_cores.and_then(|cores| u32::try_from(cores).ok());
        node.cores = cores.filter(|cores| *cores > 0);
        node.host = node.host.take().or_else(|| known.host_id.clone());
    }
    if node.mips_per_core.is_none() && node.cpu_score.is_none() {
        node.mips_per_core = known.mips_per_core;
        node.cpu_score = known.cpu_score;
    }
    node.power_idle_w = node.power_idle_w.or(known.power_idle_w);
    node.power_max_w = node.power_max_w.or(known.power_max_w);
}
