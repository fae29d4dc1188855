//! [`topology`]: the nodes of a run as hosts of OpenDC. [`experiment`]: the file with which OpenDC's runner simulates the export.

use serde_json::{Value, json};

use crate::assumptions::Assumptions;
use crate::source::Source;

/// Speed of a core whose frequency is unknown, MHz. Simulated times do not depend on this value, because the work of tasks is
/// computed with it, too.
const MHZ_UNKNOWN: f64 = 1000.0;
/// Memory of a host that does not report it, bytes. Tasks need none.
const MEMORY_UNKNOWN: u64 = 1 << 40;
/// Number of CPUs of a host that does not report it: more than tasks ever use at once.
const CORES_UNKNOWN: u64 = 1 << 20;

/// Speed of one core of a node, MHz.
pub fn core_mhz(source: &Source<'_>, node: u32) -> f64 {
    known_mhz(source, node).unwrap_or(MHZ_UNKNOWN)
}

fn known_mhz(source: &Source<'_>, node: u32) -> Option<f64> {
    let mhz = source.nodes[node as usize].cpu_freq_mhz;
    mhz.filter(|mhz| *mhz > 0.0 && mhz.is_finite())
}

fn known_mib(source: &Source<'_>, node: u32) -> Option<f64> {
    source.nodes[node as usize].mem_mb.filter(|mib| *mib >= 1.0)
}

/// The nodes with instances, by number.
pub fn hosts<'s>(source: &'s Source<'_>) -> impl Iterator<Item = u32> + 's {
    let names = &source.plan.recorded.names;
    (0..names.nodes.len() as u32).filter(|node| names.instances.iter().any(|instance| instance.node == *node))
}

/// `topology.json`: one cluster with a host for each node.
pub fn topology(source: &Source<'_>) -> serde_json::Result<String> {
    let hosts: Vec<Value> = hosts(source).map(|node| host(source, node)).collect();
    text(&json!({"clusters": [{"name": source.run.id(), "hosts": hosts}]}))
}

fn host(source: &Source<'_>, node: u32) -> Value {
    let facts = &source.nodes[node as usize];
    let memory = known_mib(source, node);
    let memory = memory.map_or(MEMORY_UNKNOWN, |mib| (mib * f64::from(1 << 20)) as u64);
    let mut host = json!({
        "name": source.plan.recorded.names.nodes[node as usize],
        "cpu": {
            "coreCount": facts.cpu_cores.unwrap_or(CORES_UNKNOWN).max(1),
            "coreSpeed": core_mhz(source, node),
        },
        "memory": {"memorySize": memory},
    });
    if let (Some(idle), Some(most)) = (facts.power_idle_w, facts.power_max_w) {
        let model = json!({"modelType": "linear", "power": most, "idlePower": idle, "maxPower": most});
        host["cpuPowerModel"] = model;
    }
    host
}

/// `experiment.json`. Its paths are relative to the folder of the export.
pub fn experiment(source: &Source<'_>) -> serde_json::Result<String> {
    text(&json!({
        "name": source.run.id(),
        "topologies": [{"pathToFile": "topology.json"}],
        "workloads": [{"pathToFile": "trace", "type": "ComputeWorkload"}],
        "allocationPolicies": [{"type": "prefab", "policyName": "Mem"}],
        "exportModels": [{"exportInterval": 1}],
    }))
}

fn text(value: &Value) -> serde_json::Result<String> {
    serde_json::to_string_pretty(value).map(|text| text + "\n")
}

/// Adds the assumptions of the topology.
pub fn assumptions(source: &Source<'_>, assumptions: &mut Assumptions) {
    let names = &source.plan.recorded.names.nodes;
    let without = |is_unknown: &dyn Fn(u32) -> bool| -> Vec<String> {
        let unknown = hosts(source).filter(|node| is_unknown(*node));
        unknown.map(|node| names[node as usize].clone()).collect()
    };
    assumptions.add_named(
        "frequency_unknown",
        true,
        &without(&|node| known_mhz(source, node).is_none()),
        "node has no CPU frequency (cpu_freq_mhz): its cores count as 1000 MHz",
        "nodes have no CPU frequency (cpu_freq_mhz): their cores count as 1000 MHz",
    );
    assumptions.cpus(source);
    assumptions.add_named(
        "memory_unknown",
        false,
        &without(&|node| known_mib(source, node).is_none()),
        "node has no memory size: it counts as 1 TiB; tasks need no memory",
        "nodes have no memory size: they count as 1 TiB; tasks need no memory",
    );
}
