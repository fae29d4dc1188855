//! Traces with the published faults: how many of them, and which.

use super::{Node, Random, Release, lay_out, tree};

/// A fault that changes who called whom, for a reader that trusts the rpc ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Rows missing in the middle: both rows of a call are lost, and rows of its own calls are there.
    Lost,
    /// A call listed more than twice: calls to different modules share an rpc id, and so do the calls below them. By the
    /// maintainers (issue 124), programs start threads without the context of the trace; names and times are correct.
    SharedId,
    /// Rpc ids that do not form a tree: a call has an id below a module that did not make it.
    ForeignId,
    /// The name `(?)` for a module that makes further calls.
    Nameless,
    /// As [`Self::SharedId`], with calls to one module: only times show what each of them caused.
    SharedModule,
    /// Two calls in a row are lost: the name of the module between them is in no row.
    LostTwice,
    /// The name `(?)` for a module that makes no calls.
    NamelessLeaf,
}

/// Faults that can be repaired with names, each with its weight. Only the total share of these faults is published, in
/// [`Release`]. The weights are assumed.
const BY_NAMES: [(Fault, u64); 4] = [
    (Fault::Lost, 35),
    (Fault::SharedId, 40),
    (Fault::ForeignId, 15),
    (Fault::Nameless, 10),
];
/// Faults that cannot be repaired with names, as above.
const NOT_BY_NAMES: [(Fault, u64); 3] = [
    (Fault::SharedModule, 40),
    (Fault::LostTwice, 30),
    (Fault::NamelessLeaf, 30),
];
/// Share of faulty traces with one more fault. It is assumed.
const ONE_MORE: f64 = 0.3;

/// The calls of a trace, with faults or without.
pub fn with_faults(release: &Release, has_entry: bool, random: &mut Random) -> Vec<Node> {
    let wanted = match random.chance(release.by_specification) {
        true => None,
        false => {
            let repaired = release.by_names - release.by_specification;
            let is_repaired = random.chance(repaired / (1.0 - release.by_specification));
            Some(drawn(if is_repaired { &BY_NAMES } else { &NOT_BY_NAMES }, random))
        }
    };
    loop {
        let mut nodes = tree(release.is_layered, random);
        let is_done = match wanted {
            None => true,
            Some(fault) => {
                let is_done = apply(fault, &mut nodes, has_entry, random);
                if is_done && random.chance(ONE_MORE) {
                    apply(drawn(&BY_NAMES, random), &mut nodes, has_entry, random);
                }
                is_done
            }
        };
        if is_done {
            lay_out(&mut nodes, 0, 0, random);
            return nodes;
        }
    }
}

fn drawn(faults: &[(Fault, u64)], random: &mut Random) -> Fault {
    let sum = faults.iter().map(|(_, part)| part).sum();
    let mut left = random.below(sum);
    for &(fault, part) in faults {
        if left < part {
            return fault;
        }
        left -= part;
    }
    faults[0].0
}

/// Puts a fault into a trace; false if no call of it is suitable.
fn apply(fault: Fault, nodes: &mut [Node], has_entry: bool, random: &mut Random) -> bool {
    let suitable: Vec<usize> = (1..nodes.len())
        .filter(|&index| is_suitable(fault, nodes, index, has_entry))
        .collect();
    if suitable.is_empty() {
        return false;
    }
    let index = suitable[random.below(suitable.len() as u64) as usize];
    match fault {
        Fault::Lost => nodes[index].is_lost = true,
        Fault::LostTwice => {
            nodes[index].is_lost = true;
            let child = nodes[index].children[0];
            nodes[child].is_lost = true;
        }
        Fault::Nameless | Fault::NamelessLeaf => nodes[index].is_nameless = true,
        Fault::SharedId => {
            let Some(sibling) = sibling(nodes, index, |node, other| node.module != other.module) else {
                return false;
            };
            let rpc_id = nodes[index].rpc_id.clone();
            rename(nodes, sibling, &rpc_id);
        }
        Fault::SharedModule => {
            let Some(sibling) = sibling(nodes, index, |_, other| !other.children.is_empty()) else {
                return false;
            };
            nodes[sibling].module = nodes[index].module;
            nodes[sibling].instance = nodes[index].instance;
            let rpc_id = nodes[index].rpc_id.clone();
            rename(nodes, sibling, &rpc_id);
        }
        Fault::ForeignId => {
            let caller = nodes[index].parent.map_or(0, |parent| nodes[parent].module);
            let others: Vec<usize> = (1..nodes.len())
                .filter(|&other| {
                    let node = &nodes[other];
                    node.is_remote()
                        && !node.is_lost
                        && node.module != caller
                        && !is_below(nodes, other, index)
                })
                .collect();
            if others.is_empty() {
                return false;
            }
            let other = others[random.below(others.len() as u64) as usize];
            let rpc_id = format!("{}.{}", nodes[other].rpc_id, 1 + random.below(3));
            rename(nodes, index, &rpc_id);
        }
    }
    true
}

fn is_suitable(fault: Fault, nodes: &[Node], index: usize, has_entry: bool) -> bool {
    let node = &nodes[index];
    let is_whole = |node: &Node| !node.is_lost && !node.is_nameless;
    let has_recorded_child = node.children.iter().any(|&child| !nodes[child].is_lost);
    if !node.is_remote() || !is_whole(node) {
        return false;
    }
    let Some(parent) = node.parent else { return false };
    // In the middle: something above or beside it is recorded.
    let is_recorded = |index: usize| is_whole(&nodes[index]) && (index > 0 || has_entry);
    let is_beside_recorded = nodes[parent]
        .children
        .iter()
        .any(|&other| other != index && is_whole(&nodes[other]));
    match fault {
        Fault::Lost => has_recorded_child && (is_recorded(parent) || (parent == 0 && is_beside_recorded)),
        Fault::LostTwice => {
            let [child] = node.children[..] else { return false };
            is_recorded(parent) && nodes[child].is_remote() && !nodes[child].children.is_empty()
        }
        Fault::Nameless => has_recorded_child,
        Fault::NamelessLeaf => node.children.is_empty(),
        Fault::SharedId => sibling(nodes, index, |node, other| node.module != other.module).is_some(),
        Fault::SharedModule => {
            !node.children.is_empty()
                && sibling(nodes, index, |_, other| !other.children.is_empty()).is_some()
        }
        Fault::ForeignId => is_whole(&nodes[parent]),
    }
}

/// A later call of the same caller.
fn sibling(nodes: &[Node], index: usize, fits: impl Fn(&Node, &Node) -> bool) -> Option<usize> {
    let node = &nodes[index];
    let siblings = &nodes[node.parent?].children;
    siblings.iter().copied().find(|&other| {
        let other_node = &nodes[other];
        other > index
            && other_node.is_remote()
            && !other_node.is_lost
            && other_node.rpc_id != node.rpc_id
            && fits(node, other_node)
    })
}

fn is_below(nodes: &[Node], index: usize, above: usize) -> bool {
    index == above
        || nodes[index]
            .parent
            .is_some_and(|parent| is_below(nodes, parent, above))
}

/// Gives a call another id, and all calls below it the ids that follow from it.
fn rename(nodes: &mut [Node], index: usize, rpc_id: &str) {
    nodes[index].rpc_id = rpc_id.to_owned();
    for (child, number) in nodes[index].children.clone().into_iter().zip(1..) {
        rename(nodes, child, &format!("{rpc_id}.{number}"));
    }
}
