//! [`share_cpus`]: the CPUs that the instances of a node share.

use std::collections::{BTreeMap, BTreeSet};

use plan::stations::{Platform, Server};

use crate::tiers::Tiers;

/// The CPUs of the nodes of one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cpus {
    pub nodes: Vec<String>,
    pub cores: u32,
}

/// Adds one server for each node with instances, or for the nodes of one host. `nodes` has the node of each instance. Returns the
/// servers in their order.
pub fn share_cpus(tiers: &Tiers, nodes: &[String], platform: &mut Platform) -> Vec<Cpus> {
    let mut hosts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let used: BTreeSet<&String> = nodes.iter().collect();
    for node in used {
        hosts.entry(tiers.host(node)).or_default().push(node.clone());
    }
    let mut all = Vec::new();
    for of_host in hosts.into_values() {
        let cores = of_host.iter().find_map(|node| tiers.nodes.get(node)?.cores);
        let Some(cores) = cores else { continue };
        let server = platform.servers.len() as u32;
        platform.servers.push(Server { capacity: cores });
        for (host, node) in platform.hosts.iter_mut().zip(nodes) {
            if of_host.contains(node) {
                host.cpus = server;
            }
        }
        all.push(Cpus {
            nodes: of_host,
            cores,
        });
    }
    all
}
