//! Three tiers with known links: endpoint, edge and cloud in network namespaces, joined by a router that delays what passes.
//!
//! ```text
//!            ep0 ◀── 50 Mbit/s ──▶ router ◀── 50 Mbit/s ──▶ edge0         edge0 and cloud0 likewise
//!              each node's own sending side (tbf)      toxiproxy in the middle: 5 ms each way
//! ```
//!
//! A message passes one limit of the rate: that of the interface by which it leaves its node. toxiproxy has it wait for the delay,
//! piece by piece as it comes, and sends it on unhindered. Each link has interfaces of its own, so links do not share a rate.
//! Telemetry, the load and the readiness probes go by another interface of each node, straight to this process, which is in a
//! namespace of its own: nothing of a run is seen from outside.
//!
//! - [`namespace`]: a network namespace, and how a process gets there.
//! - [`settings`]: delays and rate as people write them.
//! - [`proxy`]: toxiproxy and what it is told.

pub mod namespace;
pub mod proxy;
pub mod settings;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::children::ChildError;
use cctf_load::target::Target;
use namespace::{Namespace, NetworkError};
use proxy::{Proxy, Route};
use settings::Settings;

/// The nodes in the order in which a request passes them.
const NODES: [&str; 3] = ["ep0", "edge0", "cloud0"];
/// This process on the network that carries telemetry and load.
pub const CONTROL: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 1);
/// The router there.
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 200, 0, 2);
/// Port of every service, and of what the router puts in front of it.
pub const PORT: u16 = 8080;
/// Port of every service's administration.
pub const ADMIN_PORT: u16 = 8081;
/// What a link lets through at once after a silence: under the 5 KB that a fit does not notice, above one frame.
const BURST_BYTES: u32 = 5_000;
/// What may wait in front of a link: more than is ever under way, so that nothing is lost.
const QUEUE_BYTES: u32 = 16_000_000;

/// The running network.
#[derive(Debug)]
pub struct Tiers {
    proxy: Proxy,
    nodes: Vec<Namespace>,
    _router: Namespace,
}

/// Where a service is to run.
#[derive(Debug)]
pub struct Place<'a> {
    /// Its namespace.
    pub namespace: &'a Namespace,
    /// Where it is reached without passing a link.
    pub address: Ipv4Addr,
}

impl Tiers {
    /// Makes the network, moves this thread into it, and starts toxiproxy. What this thread starts from now on is in there, too.
    pub fn start(settings: &Settings, scratch: &Path, stop: &AtomicBool) -> Result<Self, ChildError> {
        let (control, router) = (Namespace::new()?, Namespace::new()?);
        connect(&control, &router, "router", ROUTER)?;
        let mut nodes = Vec::new();
        for (at, name) in NODES.iter().enumerate() {
            let node = Namespace::new()?;
            connect(&control, &node, name, address(at))?;
            nodes.push(node);
        }
        let mut routes = Vec::new();
        for (at, link) in settings.links().into_iter().enumerate() {
            let ends = [
                End::new(at, 1, &nodes[at], NODES[at + 1]),
                End::new(at, 2, &nodes[at + 1], NODES[at]),
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

    /// Where the service of a node runs.
    pub fn place(&self, node: &str) -> Option<Place<'_>> {
        let at = NODES.iter().position(|name| *name == node)?;
        Some(Place {
            namespace: self.nodes.get(at)?,
            address: address(at),
        })
    }

    /// How the node before it reaches a node: by their link. Nobody is before the first.
    pub fn by_link(&self, node: &str) -> Option<Target> {
        let at = NODES.iter().position(|name| *name == node)?;
        let host = router_side(at.checked_sub(1)?, 1).to_string();
        Some(Target { host, port: PORT })
    }

    /// An error if toxiproxy has ended.
    pub fn check_alive(&mut self) -> Result<(), ChildError> {
        self.proxy.check_alive()
    }

    /// Stops toxiproxy. The network goes with it and the last who is in there.
    pub fn stop(self) -> Result<(), ChildError> {
        self.proxy.stop()
    }
}

/// One end of a link: a node's interface, and the router's other end of it.
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

    /// A pair of interfaces to the router, of which the node's sends no faster than so.
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

/// The router's address at an end of a link.
fn router_side(link: usize, side: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 200 + side, link as u8, 1)
}

/// A node's address on the network that carries telemetry and load.
fn address(node: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 200, 0, 3 + node as u8)
}

/// A pair of interfaces between this process's namespace and another, without limit or delay.
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
