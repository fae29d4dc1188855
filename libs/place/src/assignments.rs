//! [`Choices`]: the nodes on which each module may run; [`Assignment`]: one of them for each module.

use std::collections::BTreeMap;

use crate::site::Site;
use crate::tiers::Tiers;

/// For each module of a [`Site`], in its order, the index of a node in [`Choices::nodes`]. `None`: on several nodes, as recorded.
pub type Assignment = Vec<Option<u32>>;

/// What each module may be assigned to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// By name.
    pub nodes: Vec<String>,
    /// For each module, at least one.
    options: Vec<Vec<Option<u32>>>,
    /// For each module, its recorded option. It need not be allowed.
    recorded: Assignment,
    /// Maximum number of modules on each node.
    modules_max: Vec<usize>,
}

impl Choices {
    /// The tiers must be complete.
    pub fn new(site: &Site, tiers: &Tiers) -> Self {
        let nodes: Vec<String> = tiers.nodes.keys().cloned().collect();
        let number: BTreeMap<&str, u32> = nodes.iter().map(String::as_str).zip(0..).collect();
        let (mut options, mut recorded) = (Vec::new(), Vec::new());
        for module in &site.modules {
            let own = match module.nodes.len() {
                1 => module
                    .nodes
                    .first()
                    .and_then(|node| number.get(node.as_str()).copied()),
                _ => None,
            };
            let may_stay = module.nodes.iter().all(|node| tiers.allows(&module.name, node));
            let allowed = nodes.iter().filter(|node| tiers.allows(&module.name, node));
            let mut of_module: Vec<Option<u32>> = Vec::new();
            of_module.extend((own.is_none() && may_stay).then_some(None));
            of_module.extend(allowed.map(|node| number.get(node.as_str()).copied()));
            options.push(of_module);
            recorded.push(own);
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

    /// Number of assignments, also of those with too many modules on a node.
    pub fn count(&self) -> u128 {
        let counts = self.options.iter().map(|options| options.len() as u128);
        counts.fold(1, u128::saturating_mul)
    }

    /// The recorded assignment, whether it is allowed or not.
    pub fn recorded(&self) -> &Assignment {
        &self.recorded
    }

    /// Whether the rules allow it.
    pub fn is_allowed(&self, assignment: &Assignment) -> bool {
        let mut options = assignment.iter().zip(&self.options);
        assignment.len() == self.options.len()
            && options.all(|(choice, options)| options.contains(choice))
            && self.fits(assignment)
    }

    fn fits(&self, assignment: &Assignment) -> bool {
        let mut counts = vec![0; self.nodes.len()];
        for node in assignment.iter().flatten() {
            counts[*node as usize] += 1;
        }
        counts
            .iter()
            .zip(&self.modules_max)
            .all(|(count, max)| count <= max)
    }

    /// All allowed assignments, in the order of modules and nodes.
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

    /// Everything on one node, where that is allowed; other modules as recorded, else on the first node where they may run.
    pub fn all_on(&self, node: u32) -> Assignment {
        let each = self.options.iter().zip(&self.recorded);
        each.map(|(options, recorded)| {
            let wanted = [Some(node), *recorded];
            let found = wanted.into_iter().find(|choice| options.contains(choice));
            found.unwrap_or(options[0])
        })
        .collect()
    }

    /// The allowed assignments that differ in one module.
    pub fn neighbours(&self, of: &Assignment) -> Vec<Assignment> {
        let mut found = Vec::new();
        for (module, options) in self.options.iter().enumerate() {
            for option in options.iter().filter(|option| **option != of[module]) {
                let mut other = of.clone();
                other[module] = *option;
                found.extend(self.fits(&other).then_some(other));
            }
        }
        found
    }

    /// Any allowed assignment: each module on the first node with room. `None` if there is none by this rule.
    pub fn first_fit(&self) -> Option<Assignment> {
        let mut room = self.modules_max.clone();
        let each = self.options.iter().map(|options| {
            let has_room = |choice: &&Option<u32>| choice.is_none_or(|node| room[node as usize] > 0);
            let choice = *options.iter().find(has_room)?;
            if let Some(node) = choice {
                room[node as usize] -= 1;
            }
            Some(choice)
        });
        each.collect()
    }
}
