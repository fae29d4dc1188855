//! [`Choices`]: the nodes on which each group may run; [`Assignment`]: one of these nodes for each group.

use std::collections::BTreeSet;

use crate::site::Site;
use crate::tiers::Tiers;

/// For each group of a [`Site`], in its order, the index of a node in [`Choices::nodes`].
pub type Assignment = Vec<u32>;

/// The nodes to which each group may be assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// By name.
    pub nodes: Vec<String>,
    /// For each group, the nodes on which it may run: at least one.
    options: Vec<Vec<u32>>,
    /// For each group, its recorded node. The rules may forbid this node.
    recorded: Assignment,
    /// Maximum number of groups on each node.
    modules_max: Vec<usize>,
}

impl Choices {
    /// The tiers must be complete.
    pub fn new(site: &Site, tiers: &Tiers) -> Self {
        let nodes: Vec<String> = tiers.nodes.keys().cloned().collect();
        let (mut options, mut recorded) = (Vec::new(), Vec::new());
        for group in &site.groups {
            let allowed = (0..).zip(&nodes).filter(|(_, node)| tiers.allows(group, node));
            options.push(allowed.map(|(number, _)| number).collect());
            // Complete tiers name all recorded nodes.
            let own = nodes.iter().position(|node| *node == group.node);
            recorded.push(own.unwrap_or(0) as u32);
        }
        let modules_max = tiers.nodes.values();
        let modules_max = modules_max.map(|node| node.modules_max.map_or(usize::MAX, |max| max as usize));
        Self {
            modules_max: modules_max.collect(),
            nodes,
            options,
            recorded,
        }
    }

    /// Number of assignments, including assignments with too many groups on a node.
    pub fn count(&self) -> u128 {
        let counts = self.options.iter().map(|options| options.len() as u128);
        counts.fold(1, u128::saturating_mul)
    }

    /// The recorded assignment, whether it is allowed or not.
    pub fn recorded(&self) -> &Assignment {
        &self.recorded
    }

    /// Whether the rules allow an assignment.
    pub fn is_allowed(&self, assignment: &Assignment) -> bool {
        let mut options = assignment.iter().zip(&self.options);
        assignment.len() == self.options.len()
            && options.all(|(choice, options)| options.contains(choice))
            && self.fits(assignment)
    }

    /// Whether the rules allow all assignments of each group to any of its nodes in `nodes`.
    pub fn are_all_allowed(&self, nodes: &[BTreeSet<u32>]) -> bool {
        let mut options = nodes.iter().zip(&self.options);
        nodes.len() == self.options.len()
            && options.all(|(nodes, options)| nodes.iter().all(|node| options.contains(node)))
            && self.fits(nodes.iter().flatten())
    }

    /// Whether each node has room for as many groups as `nodes` has entries for it.
    fn fits<'a>(&self, nodes: impl IntoIterator<Item = &'a u32>) -> bool {
        let mut counts = vec![0; self.nodes.len()];
        for node in nodes {
            counts[*node as usize] += 1;
        }
        counts
            .iter()
            .zip(&self.modules_max)
            .all(|(count, max)| count <= max)
    }

    /// All allowed assignments, in the order of groups and nodes.
    pub fn all(&self) -> impl Iterator<Item = Assignment> + '_ {
        (0..self.count()).filter_map(|number| {
            let mut rest = number;
            let mut assignment = Vec::with_capacity(self.options.len());
            for options in self.options.iter().rev() {
                let count = options.len() as u128;
                assignment.push(options[(rest % count) as usize]);
                rest /= count;
            }
            assignment.reverse();
            self.fits(&assignment).then_some(assignment)
        })
    }

    /// All groups on one node. A group that may not run there stays on its recorded node or, if that is not allowed either, is on
    /// the first allowed node.
    pub fn all_on(&self, node: u32) -> Assignment {
        let each = self.options.iter().zip(&self.recorded);
        each.map(|(options, recorded)| {
            let wanted = [node, *recorded];
            let found = wanted.into_iter().find(|choice| options.contains(choice));
            found.unwrap_or(options[0])
        })
        .collect()
    }

    /// The allowed assignments that differ in one group.
    pub fn neighbours(&self, of: &Assignment) -> Vec<Assignment> {
        let mut found = Vec::new();
        for (group, options) in self.options.iter().enumerate() {
            for option in options.iter().filter(|option| **option != of[group]) {
                let mut other = of.clone();
                other[group] = *option;
                found.extend(self.fits(&other).then_some(other));
            }
        }
        found
    }

    /// An allowed assignment: each group on the first node with room. `None` if this rule finds no assignment.
    pub fn first_fit(&self) -> Option<Assignment> {
        let mut room = self.modules_max.clone();
        let each = self.options.iter().map(|options| {
            let node = *options.iter().find(|node| room[**node as usize] > 0)?;
            room[node as usize] -= 1;
            Some(node)
        });
        each.collect()
    }
}
