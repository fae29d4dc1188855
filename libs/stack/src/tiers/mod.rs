//! [`Tiers`]: nodes in network namespaces, connected by links of known delay and rate.
//!
//! ```text
//!            ep0 ◀── 50 Mbit/s ──▶ router ◀── 50 Mbit/s ──▶ edge0
//!            rate limit in each sending node (tbf)      toxiproxy in the router: 5 ms each way
//! ```
//!
//! A message passes one rate limit, in the interface by which it leaves its node. toxiproxy delays each piece of data, without
//! limiting its rate. A link without delay connects its nodes directly. Each link has its own interfaces, so links do not share
//! a rate.
//!
//! Telemetry, load and readiness probes use another interface of each node, which is connected directly to this process. There
//! is one exception: if links lead to the driver's node, the load uses these links. This process is in its own namespace, so
//! nothing of a run is visible from outside.
//!
//! - [`network`]: configuration of nodes and links; [`settings`]: nodes and links of the chain, and parsers of their settings.
//! - [`link`]: the interfaces of one link; [`proxy`]: links through toxiproxy.

mod link;
pub mod network;
pub mod proxy;
pub mod settings;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use cctf_load::plan::target::Target;

use super::child::ChildError;
use super::namespace::{Namespace, NetworkError};
use link::{Cable, Place, Used};
use network::Network;
use proxy::{Proxy, Route};

/// Address of this process on the network for telemetry and load.
pub const CONTROL: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);
/// Address of the router on the network for telemetry and load.
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 2);
/// Port of the first service of each node. Each service uses two ports, and all ports of a node differ.
const PORT: u16 = 8_080;

#[derive(Debug)]
pub struct Tiers {
    proxy: Option<Proxy>,
    nodes: Vec<(String, Namespace)>,
    links: Vec<Link>,
    _router: Option<Namespace>,
}

/// The address at which one node reaches another one.
#[derive(Debug)]
struct Link {
    from: String,
    to: String,
    address: Ipv4Addr,
}

/// The namespace and addresses of a service.
#[derive(Debug, Clone, Copy)]
pub struct ServiceNetwork<'a> {
    pub namespace: &'a Namespace,
    /// Address at which the service is reached without a link.
    pub address: Ipv4Addr,
    pub port: u16,
    pub admin_port: u16,
}

impl Tiers {
    /// Creates the network, moves this thread into it, and starts toxiproxy. Child processes that this thread starts later are
    /// in it, too.
    pub fn start(network: &Network, scratch: &Path, stop: &AtomicBool) -> Result<Self, ChildError> {
        let control = Namespace::new()?;
        let has_delays = network.links.iter().any(|link| link.delay_ms > 0);
        let router = has_delays.then(Namespace::new).transpose()?;
        if let Some(router) = &router {
            connect(&control, router, "router", ROUTER)?;
        }
        let mut nodes = Vec::new();
        for (index, node) in network.nodes.iter().enumerate() {
            let namespace = Namespace::new()?;
            connect(&control, &namespace, &format!("node{index}"), address(index))?;
            nodes.push((node.name.clone(), namespace));
        }
        let (links, routes) = lay(network, &nodes, &control, router.as_ref())?;
        control.enter()?;
        let proxy = router
            .as_ref()
            .map(|router| Proxy::start(&network.toxiproxy, router, ROUTER, &routes, scratch, stop))
            .transpose()?;
        Ok(Self {
            proxy,
            nodes,
            links,
            _router: router,
        })
    }

    /// The network of a service. `service` is the number of the service on the node.
    pub fn network_of(&self, node: &str, service: u16) -> Option<ServiceNetwork<'_>> {
        let index = self.nodes.iter().position(|(name, _)| name == node)?;
        Some(ServiceNetwork {
            namespace: &self.nodes.get(index)?.1,
            address: address(index),
            port: port(service),
            admin_port: port(service) + 1,
        })
    }

    /// The address at which node `from` reaches a service of node `to`: over their link, or directly if both are the same node.
    /// `None` if there is no link.
    pub fn by_link(&self, from: &str, to: &str, service: u16) -> Option<Target> {
        let has_services = self.nodes.iter().any(|(name, _)| name == from);
        let host = match from == to && has_services {
            true => Ipv4Addr::LOCALHOST,
            false => {
                let is_it = |link: &&Link| link.from == from && link.to == to;
                self.links.iter().find(is_it)?.address
            }
        };
        Some(Target {
            host: host.to_string(),
            port: port(service),
        })
    }

    /// Fails if toxiproxy has exited.
    pub fn check_alive(&mut self) -> Result<(), ChildError> {
        self.proxy.as_mut().map_or(Ok(()), Proxy::check_alive)
    }

    /// Stops toxiproxy. The kernel removes the network with its last process.
    pub fn stop(self) -> Result<(), ChildError> {
        self.proxy.map_or(Ok(()), Proxy::stop)
    }
}

/// Creates the links. Returns how nodes reach each other, and the routes for the proxy in the router.
fn lay(
    network: &Network,
    nodes: &[(String, Namespace)],
    control: &Namespace,
    router: Option<&Namespace>,
) -> Result<(Vec<Link>, Vec<Route>), NetworkError> {
    // A node without services is the driver's. It is in the namespace of this process.
    let place = |name| match network.node(name) {
        Some(node) => Place {
            node,
            name,
            namespace: &nodes[node].1,
        },
        None => Place {
            node: nodes.len(),
            name,
            namespace: control,
        },
    };
    let (mut links, mut routes) = (Vec::new(), Vec::new());
    let mut used = Used::new();
    for (number, link) in network.links.iter().enumerate() {
        let cable = Cable {
            link: number,
            ends: [place(&link.u), place(&link.v)],
            rate_bps: link.rate_bps,
            router: router.filter(|_| link.delay_ms > 0),
        };
        let reached = link::connect(&cable, &mut used)?;
        if cable.router.is_some() {
            let services = network
                .node(&link.v)
                .map_or(0, |node| network.nodes[node].services);
            routes.extend((0..services).map(|service| Route {
                name: format!("link{number}-{service}"),
                listen: target(reached.listen, service),
                upstream: target(reached.upstream, service),
                delay_ms: link.delay_ms,
            }));
        }
        links.push(Link {
            from: link.u.clone(),
            to: link.v.clone(),
            address: reached.listen,
        });
    }
    Ok((links, routes))
}

fn target(host: Ipv4Addr, service: u16) -> Target {
    Target {
        host: host.to_string(),
        port: port(service),
    }
}

/// The port of a service. Its admin listener uses the next port.
fn port(service: u16) -> u16 {
    PORT + 2 * service
}

/// A node's address on the network for telemetry and load.
fn address(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 200, 0, 3 + node as u8)
}

/// Creates a pair of interfaces between this process's namespace and another, without limit or delay.
fn connect(
    control: &Namespace,
    other: &Namespace,
    name: &str,
    address: Ipv4Addr,
) -> Result<(), NetworkError> {
    control.ip(&format!(
        "link add {name} type veth peer name control netns {}\naddr add {CONTROL}/32 peer {address}/32 dev {name}\nlink set {name} up\n",
        other.path()
    ))?;
    other.ip(&format!(
        "addr add {address}/32 peer {CONTROL}/32 dev control\nlink set control up\n"
    ))
}
