//! [`collapse`]: the call graph with a limited number of nodes. Modules with little response time are joined into one node, and
//! so are peers with few calls.

use std::collections::BTreeMap;

use analyze::stats::cells::{Key, UNKNOWN_NAME};

use crate::model::{Edge, EdgeEnd};

/// Maximum number of modules with their own node. They are the modules with the most response time.
const MODULES_MAX: usize = 30;
/// Maximum number of peers without invocations that have their own node. They are the peers with the most calls.
const PEERS_MAX: usize = 20;

/// Maximum numbers of modules and peers that have their own node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    pub modules: usize,
    pub peers: usize,
}

impl Reach {
    /// The maximum numbers for a graph that is shown with a table of `rows` rows. If there is room for few rows only, the graph
    /// has few nodes, too.
    pub fn beside(rows: usize) -> Self {
        Self {
            modules: rows.clamp(2, MODULES_MAX),
            peers: (rows * 2 / 3).clamp(2, PEERS_MAX),
        }
    }
}

/// A node of the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vertex {
    /// Callers that are not in the files, such as the load driver.
    Outside,
    /// Position of a module.
    Module(usize),
    OtherModules,
    /// A peer, or a caller without invocations. The value is its position in [`Graph::peers`].
    Peer(usize),
    OtherPeers,
}

/// Sums over the calls between two nodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flow {
    pub calls: u64,
    pub errors: u64,
    /// Number of calls with a known duration, and the sum of these durations.
    pub timed: u64,
    pub sum_ns: u128,
    /// The 95th percentile. `None` if the flow consists of several edges.
    pub p95_ns: Option<u64>,
    edges: usize,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Graph<'a> {
    pub flows: BTreeMap<(Vertex, Vertex), Flow>,
    /// Names of the peers that have their own node.
    pub peers: Vec<&'a str>,
    pub other_modules: usize,
    pub other_peers: usize,
}

/// Joins nodes. `modules` are all modules; the one with the most response time comes first.
pub fn collapse<'a>(edges: &'a [Edge], modules: &[&Key], reach: Reach) -> Graph<'a> {
    let positions: BTreeMap<&Key, usize> = modules.iter().copied().zip(0..).collect();
    // A module without invocations only calls others, like the load driver.
    let peer_name = |key: &'a Key| match positions.contains_key(key) {
        true => None,
        false => Some(key.module_id.as_deref().unwrap_or(UNKNOWN_NAME)),
    };
    let ends = |edge: &'a Edge| {
        let from = edge.from.as_ref().and_then(peer_name);
        let to = match &edge.to {
            EdgeEnd::Module(key) => peer_name(key),
            EdgeEnd::External(peer) => Some(peer.as_str()),
            EdgeEnd::Other => None,
        };
        [from, to]
    };
    let mut calls_of: BTreeMap<&str, u64> = BTreeMap::new();
    for edge in edges {
        for name in ends(edge).into_iter().flatten() {
            *calls_of.entry(name).or_default() += edge.calls;
        }
    }
    let mut peers: Vec<&str> = calls_of.keys().copied().collect();
    peers.sort_by_key(|peer| (std::cmp::Reverse(calls_of[peer]), *peer));
    let other_peers = peers.len().saturating_sub(reach.peers);
    peers.truncate(reach.peers);
    let peer = |name: &str| {
        let position = peers.iter().position(|known| *known == name);
        position.map_or(Vertex::OtherPeers, Vertex::Peer)
    };
    let module = |key: &Key| match positions.get(key) {
        Some(&position) if position < reach.modules => Vertex::Module(position),
        _ => Vertex::OtherModules,
    };
    let mut flows: BTreeMap<(Vertex, Vertex), Flow> = BTreeMap::new();
    for edge in edges {
        let [from_peer, to_peer] = ends(edge).map(|name| name.map(peer));
        let from = match (&edge.from, &edge.to) {
            (Some(key), _) => from_peer.unwrap_or_else(|| module(key)),
            (None, EdgeEnd::Other) => Vertex::OtherModules,
            (None, _) => Vertex::Outside,
        };
        let to = match &edge.to {
            EdgeEnd::Module(key) => to_peer.unwrap_or_else(|| module(key)),
            EdgeEnd::External(_) => to_peer.unwrap_or(Vertex::OtherPeers),
            EdgeEnd::Other => Vertex::OtherModules,
        };
        let flow = flows.entry((from, to)).or_default();
        flow.calls += edge.calls;
        flow.errors += edge.errors;
        flow.timed += edge.timed;
        flow.sum_ns += edge.sum_ns;
        flow.edges += 1;
        flow.p95_ns = edge.quantiles_ns[1].filter(|_| flow.edges == 1);
    }
    Graph {
        flows,
        peers,
        other_modules: modules.len().saturating_sub(reach.modules),
        other_peers,
    }
}

impl Graph<'_> {
    /// All nodes that have calls, in their order.
    pub fn vertices(&self) -> Vec<Vertex> {
        let ends = self.flows.keys().flat_map(|(from, to)| [*from, *to]);
        let mut vertices: Vec<Vertex> = ends.collect();
        vertices.sort_unstable();
        vertices.dedup();
        vertices
    }
}

impl Flow {
    /// Mean duration of the calls. `None` if no duration is known.
    pub fn mean_ns(&self) -> Option<f64> {
        (self.timed > 0).then(|| self.sum_ns as f64 / self.timed as f64)
    }
}

#[cfg(test)]
mod tests {
    use analyze::stats::figures::Bytes;

    use super::*;

    fn key(number: usize) -> Key {
        Key {
            module_id: Some(format!("m{number:03}")),
            ..Key::default()
        }
    }

    fn edge(from: Option<usize>, to: EdgeEnd, calls: u64) -> Edge {
        Edge {
            from: from.map(key),
            to,
            calls,
            errors: 1,
            timed: calls,
            sum_ns: u128::from(calls) * 1000,
            quantiles_ns: [Some(1), Some(2), Some(3)],
            bytes_out: Bytes::default(),
            bytes_in: Bytes::default(),
        }
    }

    #[test]
    fn modules_with_little_time_become_one_node_and_no_call_is_lost() {
        let keys: Vec<Key> = (0..300).map(key).collect();
        let modules: Vec<&Key> = keys.iter().collect();
        let mut edges: Vec<Edge> = (0..299)
            .map(|number| edge(Some(number), EdgeEnd::Module(key(number + 1)), 10))
            .collect();
        edges.push(edge(None, EdgeEnd::Module(key(0)), 7));
        edges.extend((0..50).map(|peer| edge(Some(0), EdgeEnd::External(format!("p{peer}")), peer)));
        edges.push(edge(None, EdgeEnd::Other, 3));
        let driver = Key {
            module_id: Some("driver".to_owned()),
            ..Key::default()
        };
        edges.push(Edge {
            from: Some(driver),
            ..edge(None, EdgeEnd::Module(key(1)), 1000)
        });
        let graph = collapse(&edges, &modules, Reach::beside(60));
        assert_eq!(graph.other_modules, 270);
        assert_eq!((graph.peers.len(), graph.other_peers), (20, 31));
        assert_eq!(graph.peers[..2], ["driver", "p49"]);
        // The nodes: outside, 30 modules, the other modules, 20 peers, and the other peers.
        assert_eq!(graph.vertices().len(), 1 + 30 + 1 + 20 + 1);
        let calls = |sum: u64, flow: &Flow| sum + flow.calls;
        let all: u64 = edges.iter().map(|edge| edge.calls).sum();
        assert_eq!(graph.flows.values().fold(0, calls), all);
        let first = graph.flows[&(Vertex::Module(0), Vertex::Module(1))];
        assert_eq!((first.calls, first.p95_ns), (10, Some(2)));
        let rest = graph.flows[&(Vertex::OtherModules, Vertex::OtherModules)];
        assert_eq!((rest.calls, rest.p95_ns), (269 * 10 + 3, None));
    }
    #[test]
    fn the_mean_of_a_flow_is_over_the_calls_whose_time_is_known() {
        let mut edges = vec![edge(None, EdgeEnd::Module(key(0)), 10); 2];
        edges[0].timed = 0;
        edges[0].sum_ns = 0;
        let key = key(0);
        let ends = (Vertex::Outside, Vertex::Module(0));
        let mean = |edges: &[Edge]| collapse(edges, &[&key], Reach::beside(60)).flows[&ends].mean_ns();
        assert_eq!(mean(&edges), Some(1000.0));
        assert_eq!(mean(&edges[..1]), None);
    }
}
