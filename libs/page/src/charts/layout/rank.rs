//! [`rank`]: the layer of each node, and the edges that close cycles.

pub(super) struct Ranks {
    /// For each node, the length of the longest path to it, with the edges that close cycles reversed. A node without incoming
    /// edges is one layer before its first target.
    pub layer: Vec<usize>,
    /// For each edge, whether it leads to an earlier layer.
    pub is_back: Vec<bool>,
}

pub(super) fn rank(nodes: usize, edges: &[(usize, usize)]) -> Ranks {
    let is_back = back_edges(nodes, edges);
    let forward: Vec<(usize, usize)> = edges
        .iter()
        .zip(&is_back)
        .map(|((from, to), is_back)| if *is_back { (*to, *from) } else { (*from, *to) })
        .collect();
    let mut layer = longest_paths(nodes, &forward);
    pull_sources(&mut layer, &forward);
    Ranks { layer, is_back }
}

/// Marks edges that close a cycle. A depth-first search finds such an edge after it has entered the edge's target, and before
/// it leaves this target. The search starts with the nodes without incoming edges.
fn back_edges(nodes: usize, edges: &[(usize, usize)]) -> Vec<bool> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Entered,
        Left,
    }
    let mut outgoing = vec![Vec::new(); nodes];
    let mut has_incoming = vec![false; nodes];
    for (edge, (from, to)) in edges.iter().enumerate() {
        outgoing[*from].push(edge);
        has_incoming[*to] = true;
    }
    let mut is_back = vec![false; edges.len()];
    let mut states = vec![State::New; nodes];
    let sources = (0..nodes).filter(|node| !has_incoming[*node]);
    for root in sources.chain(0..nodes) {
        if states[root] != State::New {
            continue;
        }
        states[root] = State::Entered;
        let mut path = vec![(root, 0)];
        while let Some((node, next)) = path.last_mut() {
            let Some(edge) = outgoing[*node].get(*next).copied() else {
                states[*node] = State::Left;
                path.pop();
                continue;
            };
            *next += 1;
            let to = edges[edge].1;
            match states[to] {
                State::New => {
                    states[to] = State::Entered;
                    path.push((to, 0));
                }
                State::Entered => is_back[edge] = true,
                State::Left => {}
            }
        }
    }
    is_back
}

/// The length of the longest path to each node. `edges` must have no cycle.
fn longest_paths(nodes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut layer = vec![0; nodes];
    let mut incoming = vec![0usize; nodes];
    for (_, to) in edges {
        incoming[*to] += 1;
    }
    let mut ready: Vec<usize> = (0..nodes).filter(|node| incoming[*node] == 0).collect();
    while let Some(node) = ready.pop() {
        for (_, to) in edges.iter().filter(|(from, _)| *from == node) {
            layer[*to] = layer[*to].max(layer[node] + 1);
            incoming[*to] -= 1;
            if incoming[*to] == 0 {
                ready.push(*to);
            }
        }
    }
    layer
}

/// Moves nodes without incoming edges to the layer before their first target, so that their edges become shorter.
fn pull_sources(layer: &mut [usize], edges: &[(usize, usize)]) {
    for node in 0..layer.len() {
        if edges.iter().any(|(_, to)| *to == node) {
            continue;
        }
        let targets = edges.iter().filter(|(from, _)| *from == node);
        if let Some(first) = targets.map(|(_, to)| layer[*to]).min() {
            layer[node] = first - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_forward_edge_leads_to_a_later_layer() {
        let ranks = rank(5, &[(0, 1), (1, 2), (2, 0), (0, 2), (3, 0), (4, 2)]);
        assert_eq!(ranks.is_back, [false, false, true, false, false, false]);
        assert_eq!(ranks.layer, [1, 2, 3, 0, 2]);
    }

    #[test]
    fn a_cycle_without_an_entry_starts_at_its_first_node() {
        let ranks = rank(3, &[(2, 0), (0, 1), (1, 2)]);
        assert_eq!(ranks.is_back, [true, false, false]);
        assert_eq!(ranks.layer, [0, 1, 2]);
    }
}
