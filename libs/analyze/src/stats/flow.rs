//! [`Flow`]: counts how many calls of a run have an invocation, and finds bounds for the clock differences of nodes.

use aggregate::maps::Map;

/// Maximum number of peers. Calls to further peers are ignored.
const PEERS_MAX: usize = 2048;
/// Stands for an unknown peer, a peer beyond the maximum, or a failed call.
pub const NO_PEER: u32 = u32::MAX;

/// Calls to one peer that were answered without an error.
#[derive(Debug, Clone, Copy, Default)]
pub struct PeerFlow {
    pub calls: u64,
    /// The number of these calls whose invocation has a row.
    pub found: u64,
}

/// Bounds for the callee's clock minus the caller's clock, nanoseconds. They are certain while the clocks run at the same rate,
/// because a request cannot arrive before it was sent, and an answer cannot arrive before it left.
#[derive(Debug, Clone, Copy)]
pub struct ClockBound {
    pub low: i64,
    pub high: i64,
}

/// Start and end, nanoseconds.
pub type Span = (i64, i64);

#[derive(Default)]
pub struct Flow {
    numbers: Map<Box<[u8]>, u32>,
    peers: Vec<(Box<[u8]>, PeerFlow)>,
    /// By the node of the caller and the node of the invocation.
    clocks: Map<(u32, u32), ClockBound>,
    found_by_node: Map<u32, u64>,
}

impl Flow {
    /// The number of a peer, given as JSON text; [`NO_PEER`] if it is empty.
    pub fn peer(&mut self, peer: &[u8]) -> u32 {
        if let Some(&number) = self.numbers.get(peer) {
            return number;
        }
        if peer.is_empty() || self.peers.len() >= PEERS_MAX {
            return NO_PEER;
        }
        let number = self.peers.len() as u32;
        self.peers.push((peer.into(), PeerFlow::default()));
        self.numbers.insert(peer.into(), number);
        number
    }

    #[inline]
    pub fn add_call(&mut self, peer: u32) {
        if let Some((_, flow)) = self.peers.get_mut(peer as usize) {
            flow.calls += 1;
        }
    }

    /// Adds a call whose invocation was found.
    #[inline]
    pub fn add_found(&mut self, peer: u32, nodes: (u32, u32), call: Span, invocation: Span) {
        if let Some((_, flow)) = self.peers.get_mut(peer as usize) {
            flow.found += 1;
        }
        *self.found_by_node.entry(nodes.1).or_default() += 1;
        let bound = self.clocks.entry(nodes).or_insert(ClockBound {
            low: i64::MIN,
            high: i64::MAX,
        });
        bound.low = bound.low.max(invocation.1.saturating_sub(call.1));
        bound.high = bound.high.min(invocation.0.saturating_sub(call.0));
    }

    /// The peers as JSON texts, with their calls.
    pub fn peers(&self) -> impl Iterator<Item = (&[u8], PeerFlow)> {
        self.peers.iter().map(|(peer, flow)| (&**peer, *flow))
    }

    /// The pairs of nodes (caller, invocation) with their clock bounds, sorted.
    pub fn clocks(&self) -> Vec<((u32, u32), ClockBound)> {
        let mut clocks: Vec<_> = self
            .clocks
            .iter()
            .map(|(&nodes, &bound)| (nodes, bound))
            .collect();
        clocks.sort_by_key(|(nodes, _)| *nodes);
        clocks
    }

    /// Number of invocations on a node whose call was found.
    pub fn found_on(&self, node: u32) -> u64 {
        self.found_by_node.get(&node).copied().unwrap_or(0)
    }
}
