//! [`Network`]: configuration of nodes and links.

use std::path::PathBuf;

/// Maximum number of nodes. Each node has a namespace, and a link to another node needs an interface in both.
pub const NODES_MAX: usize = 32;
/// Maximum number of links: one in each direction between all nodes, including links of the driver's node.
pub const LINKS_MAX: usize = NODES_MAX * NODES_MAX;
/// Maximum number of services on one node. Their ports are below the ports that the system gives to outgoing connections.
pub const SERVICES_PER_NODE_MAX: u16 = 4_096;

/// A network of namespaces.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Network {
    pub nodes: Vec<Node>,
    pub links: Vec<ConfiguredLink>,
    /// Path to toxiproxy's server, which delays the data of links with a delay.
    pub toxiproxy: PathBuf,
}

/// A node with services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    /// Number of its services, at most [`SERVICES_PER_NODE_MAX`].
    pub services: u16,
}

/// Configuration of the link over which `u` calls `v`. A calling node that has no services is the load driver's.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ConfiguredLink {
    /// Calling node.
    pub u: String,
    /// Called node.
    pub v: String,
    /// Delay in each direction, milliseconds.
    pub delay_ms: u64,
    /// Rate in each direction, bits per second. `None`: no limit.
    pub rate_bps: Option<u64>,
}

impl Network {
    /// The index of a node that has services.
    pub(super) fn node(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name)
    }
}
