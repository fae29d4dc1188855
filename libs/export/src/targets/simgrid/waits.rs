//! [`kept`]: which part of the recorded waits for CPUs a simulation keeps as recorded, because the stations of a node do not
//! cause it themselves.

use plan::stations::{Load, Platform, Server, kept_cpu_waits};

use crate::source::Source;

/// For each station, the share of its recorded waits for CPUs that is kept, in millionths. In the simulation, only the stations
/// of a node use its CPUs.
pub fn kept(source: &Source<'_>, load: &Load) -> Vec<u32> {
    let mut platform = Platform::recorded(load);
    let mut servers = vec![None; source.nodes.len()];
    for (host, instance) in platform.hosts.iter_mut().zip(&load.names.instances) {
        let node = instance.node as usize;
        let Some(cores) = source.nodes[node].cpu_cores else {
            continue;
        };
        let server = *servers[node].get_or_insert_with(|| {
            platform.servers.push(Server {
                capacity: u32::try_from(cores).unwrap_or(u32::MAX).max(1),
            });
            platform.servers.len() - 1
        });
        host.cpus = server as u32;
    }
    kept_cpu_waits(load, &platform)
}
