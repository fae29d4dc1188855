//! [`slots`]: voters for the slots of each module, as its instances report them; [`configuration`]: all differences in the
//! deployment.

use super::candidate::{Candidate, Figures};
use crate::gather::facts::{Deployment, Facts};
use crate::model::{ConfigurationDifference, Topic, Unit, Vote};

/// Maximum number of modules for comparing placement. Each module is compared with every other one.
const PLACED_MAX: usize = 1_000;

/// One voter for each module whose slots both runs report.
pub fn slots(a: &Facts, b: &Facts, differences: &[ConfigurationDifference]) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (module, of_a) in &a.modules {
        let Some([total_a, total_b]) = b.modules.get(module).and_then(|of_b| {
            let totals = [of_a.slots()?, of_b.slots()?];
            Some(totals.map(|total| total as f64))
        }) else {
            continue;
        };
        let of_module: Vec<&ConfigurationDifference> = differences
            .iter()
            .filter(|difference| difference.topic == Topic::Slots && difference.module == *module)
            .collect();
        let figures = Figures {
            topic: Topic::Slots,
            module: Some(module.clone()),
            unit: Unit::Count,
            a: Some(total_a),
            b: Some(total_b),
            explained: None,
            margin: 0.0,
            requests: 0,
        };
        let mut candidate = Candidate::exact(figures, total_b - total_a, String::new);
        if !of_module.is_empty() {
            let text = |difference: &&ConfigurationDifference| {
                format!("{} {} in A, {} in B", difference.what, difference.a, difference.b)
            };
            candidate.voter.vote = Vote::Differs;
            candidate.voter.reason = Some(of_module.iter().map(text).collect::<Vec<_>>().join("; "));
        }
        found.push(candidate);
    }
    found
}

/// Differences of the modules that both runs have.
pub fn configuration(a: &Facts, b: &Facts) -> Vec<ConfigurationDifference> {
    let mut found = Vec::new();
    for (module, of_a) in &a.modules {
        let Some(of_b) = b.modules.get(module) else {
            continue;
        };
        let mut add = |topic: Topic, what: &'static str, texts: [Option<String>; 2]| {
            if let [Some(a), Some(b)] = texts
                && a != b
            {
                found.push(ConfigurationDifference {
                    topic,
                    module: module.clone(),
                    what,
                    a,
                    b,
                });
            }
        };
        let both = |text: &dyn Fn(&Deployment) -> Option<String>| [text(of_a), text(of_b)];
        add(
            Topic::Slots,
            "slots",
            both(&|of| per_instance(of, |station| station.0)),
        );
        add(
            Topic::Slots,
            "queue limit",
            both(&|of| per_instance(of, |station| station.1)),
        );
        add(
            Topic::Slots,
            "slot policy",
            both(&|of| per_instance(of, |station| station.2.clone())),
        );
        if a.modules.len().max(b.modules.len()) <= PLACED_MAX {
            let texts = [neighbours(a, of_a), neighbours(b, of_b)];
            add(Topic::Placement, "modules on the same nodes", texts.map(Some));
        }
    }
    found
}

/// The modules that share a node with this one. They describe its placement, because the names of nodes differ between
/// machines.
fn neighbours(facts: &Facts, of: &Deployment) -> String {
    let shares_node = |deployment: &Deployment| !deployment.nodes.is_disjoint(&of.nodes);
    let others = facts
        .modules
        .iter()
        .filter(|(_, deployment)| shares_node(deployment));
    others
        .map(|(name, _)| name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The values of all instances, such as `2, 2`. `None` if an instance does not report the value.
fn per_instance<T: ToString + Ord>(
    deployment: &Deployment,
    value: impl Fn(&(Option<u64>, Option<u64>, Option<String>)) -> Option<T>,
) -> Option<String> {
    let mut values: Vec<T> = deployment.stations.iter().map(value).collect::<Option<_>>()?;
    values.sort();
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    Some(texts.join(", "))
}
