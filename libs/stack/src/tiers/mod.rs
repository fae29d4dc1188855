//! Three tiers with known links: endpoint, edge and cloud in network namespaces, connected by a router with delays.
//!
//! ```text
//!            ep0 ◀── 50 Mbit/s ──▶ router ◀── 50 Mbit/s ──▶ edge0         edge0 and cloud0 likewise
//!            rate limit in each sending node (tbf)      toxiproxy in the router: 5 ms each way
//! ```
//!
//! A message passes one rate limit: that of the interface by which it leaves its node. toxiproxy delays each piece of data as it
//! arrives, without limiting its rate. Each link has its own interfaces, so links do not share a rate.
//!
//! Telemetry, load and readiness probes use another interface of each node, which leads directly to this process. This process
//! is in its own namespace, so nothing of a run is visible from outside.
//!
//! - [`settings`]: delays and rates, and their parsers.
//! - [`proxy`]: links through toxiproxy.

pub mod proxy;
pub mod settings;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use cctf_load::plan::target::Target;

use super::child::ChildError;
use super::namespace::{Namespace, NetworkError};
use proxy::{Proxy, Route};
use settings::LinkSettings;

/// The nodes in the order of a request's path.
const NODES: [&str; 3] = ["ep0", "edge0", "cloud0"];
/// Address of this process on the network for telemetry and load.
pub const CONTROL: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);
/// Address of the router on that network.
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 2);
/// Port of every service, and of the router's proxy for it.
pub const PORT: u16 = 8080;
/// Port of every service's admin listener.
pub const ADMIN_PORT: u16 = 8081;
/// Bytes that a link passes at once after silence: more than one frame, and too few to change the measured bandwidth.
const BURST_BYTES: u32 = 5_000;
/// Bytes that may wait before a link: more than ever do, so nothing is lost.
const QUEUE_BYTES: u32 = 16_000_000;

#[derive(Debug)]
pub struct Tiers {
    proxy: Proxy,
    nodes: Vec<Namespace>,
    _router: Namespace,
}

/// The network of a service.
#[derive(Debug)]
pub struct ServiceNetwork<'a> {
    pub namespace: &'a Namespace,
    /// Address that is reached without passing a link.
    pub address: Ipv4Addr,
}

impl Tiers {
    /// Creates the network, moves this thread into it, and starts toxiproxy. Later children of this thread are in it, too.
    pub fn start(settings: &LinkSettings, scratch: &Path, stop: &AtomicBool) -> Result<Self, ChildError> {
        let (control, router) = (Namespace::new()?, Namespace::new()?);
        connect(&control, &router, "router", ROUTER)?;
        let mut nodes = Vec::new();
        for (index, name) in NODES.iter().enumerate() {
            let node = Namespace::new()?;
            connect(&control, &node, name, address(index))?;
            nodes.push(node);
        }
        let mut routes = Vec::new();
        for (index, link) in settings.links().into_iter().enumerate() {
            let ends = [
                End::new(index, 1, &nodes[index], NODES[index + 1]),
                End::new(index, 2, &nodes[index + 1], NODES[index]),
            ];
            ends.iter()
                .try_for_each(|end| end.connect(&router, settings.rate_bps))?;
            routes.push(Route {
                name: format!("{}-{}", link.u, link.v),
                listen: Target {
                    host: ends[0].router().to_string(),
                    port: PORT,
                },
                upstream: Target {
                    host: ends[1].own().to_string(),
                    port: PORT,
                },
                delay_ms: link.delay_ms,
            });
        }
        control.enter()?;
        let proxy = Proxy::start(&settings.toxiproxy, &router, ROUTER, &routes, scratch, stop)?;
        Ok(Self {
            proxy,
            nodes,
            _router: router,
        })
    }

    pub fn network_of(&self, node: &str) -> Option<ServiceNetwork<'_>> {
        let index = NODES.iter().position(|name| *name == node)?;
        Some(ServiceNetwork {
            namespace: self.nodes.get(index)?,
            address: address(index),
        })
    }

    /// The address by which the preceding node reaches this one over their link; none for the first node.
    pub fn by_link(&self, node: &str) -> Option<Target> {
        let index = NODES.iter().position(|name| *name == node)?;
        let host = router_side(index.checked_sub(1)?, 1).to_string();
        Some(Target { host, port: PORT })
    }

    /// Fails if toxiproxy has exited.
    pub fn check_alive(&mut self) -> Result<(), ChildError> {
        self.proxy.check_alive()
    }

    /// Stops toxiproxy. The kernel removes the network with its last process.
    pub fn stop(self) -> Result<(), ChildError> {
        self.proxy.stop()
    }
}

/// One end of a link: a node's interface and the router's.
struct End<'a> {
    link: usize,
    side: u8,
    node: &'a Namespace,
    peer: &'a str,
}

impl<'a> End<'a> {
    fn new(link: usize, side: u8, node: &'a Namespace, peer: &'a str) -> Self {
        Self {
            link,
            side,
            node,
            peer,
        }
    }

    fn router(&self) -> Ipv4Addr {
        router_side(self.link, self.side)
    }

    fn own(&self) -> Ipv4Addr {
        let [a, b, c, _] = self.router().octets();
        Ipv4Addr::new(a, b, c, 2)
    }

    /// Creates a pair of interfaces to the router. The node's own sends at most at this rate.
    fn connect(&self, router: &Namespace, rate_bps: u64) -> Result<(), NetworkError> {
        let (near, far) = (
            format!("to-{}", self.peer),
            format!("link{}-{}", self.link, self.side),
        );
        self.node.ip(&format!(
            "link add {near} type veth peer name {far} netns {}\naddr add {}/30 dev {near}\nlink set {near} up\n",
            router.path(),
            self.own()
        ))?;
        router.ip(&format!(
            "addr add {}/30 dev {far}\nlink set {far} up\n",
            self.router()
        ))?;
        self.node.tc(&format!(
            "qdisc add dev {near} root tbf rate {rate_bps}bit burst {BURST_BYTES} limit {QUEUE_BYTES}"
        ))
    }
}

/// The router's address at one end of a link.
fn router_side(link: usize, side: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 200 + side, link as u8, 1)
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
