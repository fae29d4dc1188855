//! [`kept_cpu_waits`]: which part of the recorded waits for CPUs stays as recorded, because the instances of a node do not cause
//! it themselves.
//!
//! Requests also waited for other processes of the node, such as the load driver, and for threads to be woken up. These waits do
//! not arise in a simulation that has only the instances.

use super::model::Load;
use super::platform::{Platform, WHOLE_PPM};
use super::simulate::{Failures, simulate_on};
use crate::work::NONE;

/// For each instance, the share of its recorded waits for CPUs that stays as recorded, in millionths. This is the part of the
/// recorded waits that is missing in a simulation in which only instances share the CPUs. `recorded` is the platform on which the
/// load was recorded; its servers are CPUs.
pub fn kept_cpu_waits(load: &Load, recorded: &Platform) -> Vec<u32> {
    let recorded_ns = recorded_waits(load);
    if recorded_ns.iter().all(|recorded_ns| *recorded_ns == 0) {
        return vec![0; recorded.hosts.len()];
    }
    let mut by_server = vec![0_i64; recorded.servers.len()];
    for (host, recorded_ns) in recorded.hosts.iter().zip(&recorded_ns) {
        if let Some(sum) = by_server.get_mut(host.cpus as usize) {
            *sum = sum.saturating_add(*recorded_ns);
        }
    }
    let simulated_ns = simulate_on(load, recorded, Failures::Simulated).waited_ns;
    let of_instance = recorded.hosts.iter().zip(recorded_ns);
    let shares = of_instance.map(|(host, recorded_ns)| match host.cpus {
        NONE => share(recorded_ns, 0),
        server => share(by_server[server as usize], simulated_ns[server as usize]),
    });
    shares.collect()
}

fn share(recorded_ns: i64, simulated_ns: i64) -> u32 {
    if recorded_ns == 0 {
        return 0;
    }
    let kept = 1.0 - simulated_ns as f64 / recorded_ns as f64;
    (kept.clamp(0.0, 1.0) * f64::from(WHOLE_PPM)).round() as u32
}

/// The recorded waits for CPUs in all gaps, by instance.
fn recorded_waits(load: &Load) -> Vec<i64> {
    let mut waits = vec![0_i64; load.names.instances.len()];
    for visit in &load.visits {
        let calls = load.calls[visit.calls()].iter().map(|call| call.wait.cpu_wait_ns);
        let sum = &mut waits[visit.instance as usize];
        *sum = calls.fold(*sum, i64::saturating_add);
        *sum = sum.saturating_add(visit.answer.cpu_wait_ns);
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_instances_do_not_cause_is_kept() {
        for (recorded_ns, simulated_ns, kept) in [
            (0, 0, 0),
            (100, 0, WHOLE_PPM),
            (100, 25, 750_000),
            (100, 100, 0),
            (100, 300, 0),
        ] {
            assert_eq!(share(recorded_ns, simulated_ns), kept, "{simulated_ns}");
        }
    }
}
