//! The graphs that ECLYPSE reads: [`infrastructure`] has nodes and links, and [`application`] has services and their
//! interactions. [`placement`] assigns services to nodes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::load::Load;
use crate::source::Source;

/// Version of ECLYPSE's format.
const SCHEMA: &str = "1.0";
/// Stands for "unlimited". The graphs declare it as a bound of most assets (properties of nodes and edges, such as CPUs).
const UNLIMITED: f64 = 1e9;

/// The ids of services.
pub struct Names {
    services: Vec<String>,
}

impl Names {
    /// Each instance is a service, because instances of one module can be on several nodes.
    pub fn new(source: &Source<'_>) -> Self {
        let instances = 0..source.plan.recorded.names.instances.len() as u32;
        Self {
            services: instances.map(|instance| source.instance_name(instance)).collect(),
        }
    }

    fn service(&self, instance: u32) -> &str {
        &self.services[instance as usize]
    }
}

/// The nodes with their capacity, and the links. Nodes that call each other get a link even if its figures are unknown.
pub fn infrastructure(source: &Source<'_>, load: &Load) -> Value {
    let names = &source.plan.recorded.names;
    let mut own = vec![(0_i64, 0_u64); names.nodes.len()];
    for (instance, used) in names.instances.iter().zip(&load.instances) {
        let sum = &mut own[instance.node as usize];
        sum.0 += used.own_ns;
        sum.1 += used.invocations;
    }
    let nodes = names
        .nodes
        .iter()
        .zip(&source.nodes)
        .zip(&own)
        .map(|((name, facts), (own_ns, count))| {
            json!({"id": name, "attrs": {
                "cpu": facts.cpu_cores.map_or(UNLIMITED, |cores| cores as f64),
                "ram": facts.mem_mb.map_or(UNLIMITED, |mib| mib / 1024.0),
                "storage": UNLIMITED,
                "gpu": 0.0,
                "availability": 1.0,
                "processing_time": *own_ns as f64 / 1e6 / (*count).max(1) as f64,
            }})
        });
    let pairs = source.links.iter().map(|link| (link.from, link.to));
    let pairs: BTreeSet<(u32, u32)> = pairs.chain(source.calling_nodes()).collect();
    let edges = pairs.into_iter().map(|(from, to)| {
        let link = source.link(from, to);
        let delay_s = link.and_then(|link| link.delay_s).unwrap_or(0.0);
        let rate_bps = link.and_then(|link| link.rate_bps);
        json!({"source": names.nodes[from as usize], "target": names.nodes[to as usize], "attrs": {
            "latency": (delay_s * 1e3).min(UNLIMITED),
            "bandwidth": rate_bps.map_or(UNLIMITED, |rate| (rate / 1e6).min(UNLIMITED)),
        }})
    });
    let aggregators = json!({"latency": "latency", "bandwidth": "bandwidth"});
    graph(
        source,
        "infrastructure",
        nodes.collect(),
        edges.collect(),
        json!({
            "resource_init": "min",
            "path_assets_aggregators": aggregators,
        }),
    )
}

/// The instances, each with the mean number of CPUs that it used, and their interactions, each with the mean bandwidth that it
/// used.
pub fn application(source: &Source<'_>, names: &Names, load: &Load) -> Value {
    let seconds = load.seconds();
    let nodes = (0_u32..).zip(&load.instances).map(|(instance, used)| {
        json!({"id": names.service(instance), "attrs": {
            "cpu": used.cpu_ns as f64 / 1e9 / seconds,
            "ram": 0.0,
            "storage": 0.0,
            "gpu": 0.0,
            "availability": 0.0,
            "processing_time": used.own_ms(),
        }})
    });
    let edges = load.calls.iter().map(|((caller, callee), sum)| {
        json!({"source": names.service(*caller), "target": names.service(*callee), "attrs": {
            "latency": UNLIMITED,
            "bandwidth": sum.bytes as f64 * 8.0 / 1e6 / seconds,
        }})
    });
    // Calls of an instance to itself are left out.
    let edges = load
        .calls
        .iter()
        .zip(edges)
        .filter(|(((caller, callee), _), _)| caller != callee);
    let edges = edges.map(|(_, edge)| edge).collect();
    graph(
        source,
        "application",
        nodes.collect(),
        edges,
        json!({"requirement_init": "min", "flows": [], "services": {}}),
    )
}

/// The node of each service, in the order of the services.
pub fn placement(source: &Source<'_>, names: &Names) -> serde_json::Result<String> {
    let recorded = &source.plan.recorded.names;
    let mut lines = Vec::new();
    for (number, instance) in (0_u32..).zip(&recorded.instances) {
        let service = serde_json::to_string(names.service(number))?;
        let node = serde_json::to_string(&recorded.nodes[instance.node as usize])?;
        lines.push(format!("  {service}: {node}"));
    }
    Ok(format!("{{\n{}\n}}\n", lines.join(",\n")))
}

fn graph(source: &Source<'_>, kind: &str, nodes: Vec<Value>, edges: Vec<Value>, extras: Value) -> Value {
    // For latency and processing time, lower values are better, so the lower bound is the worst value.
    let asset = |kind: &str, best: f64, worst: f64, is_checked: bool| {
        json!({"type": kind, "lower_bound": worst, "upper_bound": best, "functional": is_checked,
            "init": {"type": "value", "value": worst}})
    };
    let sum = || asset("additive", UNLIMITED, 0.0, true);
    json!({
        "eclypse_schema": SCHEMA,
        "kind": kind,
        "id": source.run.id(),
        "graph": {},
        "node_assets": {
            "cpu": sum(), "ram": sum(), "storage": sum(), "gpu": sum(),
            "availability": asset("multiplicative", 1.0, 0.0, true),
            "processing_time": asset("concave", 0.0, UNLIMITED, false),
        },
        "edge_assets": {
            "latency": asset("concave", 0.0, UNLIMITED, true),
            "bandwidth": sum(),
        },
        "nodes": nodes,
        "edges": edges,
        "extras": extras,
    })
}
