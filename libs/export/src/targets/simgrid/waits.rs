//! [`kept`]: which part of the recorded waits for CPUs is kept, because the stations of a node do not cause it themselves.
//!
//! Requests also waited for other processes of the node, such as the load driver, and for threads to be woken up. These waits do not
//! arise in a simulation that has only the stations. So they stay as recorded.

use plan::stations::{Failures, Load, Platform, Server, simulate_on};

use crate::source::Source;

/// Shares are written in millionths.
const WHOLE: u64 = 1_000_000;

/// For each node, the kept share of its recorded waits for CPUs, in millionths: what is left of them after the waits of a simulation
/// in which only the stations of the node share its CPUs.
pub fn kept(source: &Source<'_>, load: &Load) -> Vec<u64> {
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
    let waited_ns = simulate_on(load, &platform, Failures::Simulated).waited_ns;
    let recorded_ns = recorded(load, source.nodes.len());
    let shares = recorded_ns.iter().zip(&servers).map(|(&recorded_ns, server)| {
        let simulated_ns = server.map_or(0, |server| waited_ns[server]);
        match recorded_ns {
            0 => 0,
            _ => share(recorded_ns, simulated_ns),
        }
    });
    shares.collect()
}

fn share(recorded_ns: i64, simulated_ns: i64) -> u64 {
    let kept = 1.0 - simulated_ns as f64 / recorded_ns as f64;
    (kept.clamp(0.0, 1.0) * WHOLE as f64).round() as u64
}

/// The recorded waits for CPUs in all gaps, by node.
fn recorded(load: &Load, nodes: usize) -> Vec<i64> {
    let mut waits = vec![0_i64; nodes];
    for visit in &load.visits {
        let node = load.names.instances[visit.instance as usize].node as usize;
        let calls = load.calls[visit.calls()].iter().map(|call| call.wait.cpu_wait_ns);
        waits[node] = calls.fold(waits[node], i64::saturating_add);
        waits[node] = waits[node].saturating_add(visit.answer.cpu_wait_ns);
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_stations_do_not_cause_is_kept() {
        for (recorded_ns, simulated_ns, kept) in
            [(100, 0, WHOLE), (100, 25, 750_000), (100, 100, 0), (100, 300, 0)]
        {
            assert_eq!(share(recorded_ns, simulated_ns), kept, "{simulated_ns}");
        }
    }
}
