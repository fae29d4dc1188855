//! [`summary`]: the input of a strategy: modules with their work and calls, nodes and links.

use std::collections::BTreeMap;

use plan::stations::Load;
use plan::work::NONE;
use serde::Serialize;

use crate::evaluation::Metric;
use crate::groups::Group;
use crate::predictor::Predictor;
use crate::ranking::VISITS_MAX;
use crate::site::Site;
use crate::tiers::{Node, Tiers};

/// Version of the input. Fields may be added; none changes its meaning.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Summary<'a> {
    version: u32,
    run_id: &'a str,
    /// The figure of root responses by which placements are ranked.
    by: Metric,
    /// Factor on the recorded arrival rate. The rates below are already multiplied by this factor.
    scale: f64,
    modules: Vec<ModuleSummary<'a>>,
    nodes: Vec<NodeSummary<'a>>,
    links: Vec<LinkSummary<'a>>,
    /// Node from which requests from outside come.
    outside: &'a str,
}

#[derive(Serialize)]
struct ModuleSummary<'a> {
    /// The module's name. If the module has instances on several nodes, with the node: `cart@edge0`.
    module: &'a str,
    recorded_on: Vec<&'a str>,
    may_run_on: Vec<&'a str>,
    instances: usize,
    /// Slots of all instances; null: unlimited.
    slots: Option<u64>,
    requests_per_s: f64,
    /// The part of these requests that comes from outside.
    from_outside_per_s: f64,
    /// Mean CPU time of a request on its recorded node; null if unknown.
    cpu_ms: Option<f64>,
    calls: Vec<CallSummary<'a>>,
}

#[derive(Serialize)]
struct CallSummary<'a> {
    module: &'a str,
    per_s: f64,
    /// Mean bodies of requests and answers.
    bytes_out: f64,
    bytes_in: f64,
}

#[derive(Serialize)]
struct NodeSummary<'a> {
    node: &'a str,
    stage: Option<&'a str>,
    cores: Option<u32>,
    host: Option<&'a str>,
    mips_per_core: Option<f64>,
    cpu_score: Option<f64>,
    slots_max: Option<u32>,
    modules_max: Option<u32>,
    price_per_hour: Option<f64>,
    power_idle_w: Option<f64>,
    power_max_w: Option<f64>,
}

#[derive(Serialize)]
struct LinkSummary<'a> {
    u: &'a str,
    v: &'a str,
    /// One way.
    delay_ms: Option<f64>,
    rate_bps: Option<f64>,
    price_per_gb: Option<f64>,
}

/// Calls between two groups.
#[derive(Default, Clone, Copy)]
struct Calls {
    count: u64,
    bytes_out: u64,
    bytes_in: u64,
}

/// The input of strategies, one JSON object with a newline.
///
/// # Errors
/// None occurs: all fields can be written.
pub fn summary(predictor: &Predictor<'_>, by: Metric) -> serde_json::Result<Vec<u8>> {
    let (site, tiers) = (predictor.site, predictor.tiers);
    let sample = crate::arrivals::Sample::new(&site.load, VISITS_MAX);
    let per_s = predictor.scale / (sample.span_ns as f64 / 1e9);
    let (calls, counts) = calls(site, &sample.load);
    let modules = (0..).zip(&site.groups).map(|(number, group)| {
        let [requests, outside] = counts.get(&number).copied().unwrap_or_default();
        let of_module = calls.range((number, 0)..=(number, NONE));
        ModuleSummary {
            requests_per_s: requests as f64 * per_s,
            from_outside_per_s: outside as f64 * per_s,
            calls: of_module
                .map(|((_, callee), calls)| CallSummary {
                    module: &site.groups[*callee as usize].name,
                    per_s: calls.count as f64 * per_s,
                    bytes_out: calls.bytes_out as f64 / calls.count as f64,
                    bytes_in: calls.bytes_in as f64 / calls.count as f64,
                })
                .collect(),
            ..module_summary(site, tiers, group)
        }
    });
    let summary = Summary {
        version: VERSION,
        run_id: &site.recording.run_id,
        by,
        scale: predictor.scale,
        modules: modules.collect(),
        nodes: tiers
            .nodes
            .iter()
            .map(|(name, node)| node_summary(site, name, node))
            .collect(),
        links: links(site, tiers),
        outside: tiers.outside(),
    };
    let mut bytes = serde_json::to_vec(&summary)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Calls by calling and called group. For each group, the number of its requests, and how many of them came from outside.
type CallsAndRoots = (BTreeMap<(u32, u32), Calls>, BTreeMap<u32, [u64; 2]>);

/// Counts the calls between groups and the requests of each group.
fn calls(site: &Site, load: &Load) -> CallsAndRoots {
    let group = |visit: u32| site.group_of[load.visits[visit as usize].instance as usize];
    let mut calls: BTreeMap<(u32, u32), Calls> = BTreeMap::new();
    for call in load.calls.iter().filter(|call| call.passes_link()) {
        let sum = calls.entry((group(call.visit), group(call.callee))).or_default();
        sum.count += 1;
        sum.bytes_out += u64::from(call.bytes_out);
        sum.bytes_in += u64::from(call.bytes_in);
    }
    let mut counts: BTreeMap<u32, [u64; 2]> = BTreeMap::new();
    for number in 0..load.visits.len() as u32 {
        counts.entry(group(number)).or_default()[0] += 1;
    }
    for arrival in &load.arrivals {
        counts.entry(group(arrival.visit)).or_default()[1] += 1;
    }
    (calls, counts)
}

fn module_summary<'a>(site: &'a Site, tiers: &'a Tiers, group: &'a Group) -> ModuleSummary<'a> {
    let instances = site.recording.modules[&group.module].instances.iter();
    let instances: Vec<_> = instances.filter(|instance| instance.node == group.node).collect();
    // The sum of two recorded numbers of slots can exceed 32 bits.
    let slots = instances
        .iter()
        .map(|instance| instance.station.slots.map(u64::from));
    let known = group.invocations - group.cpu_unknown;
    ModuleSummary {
        module: &group.name,
        recorded_on: vec![&group.node],
        may_run_on: tiers
            .nodes
            .keys()
            .filter(|node| tiers.allows(group, node))
            .map(String::as_str)
            .collect(),
        instances: instances.len(),
        slots: slots.sum(),
        requests_per_s: 0.0,
        from_outside_per_s: 0.0,
        cpu_ms: (known > 0).then(|| group.cpu_ns as f64 / known as f64 / 1e6),
        calls: Vec::new(),
    }
}

fn node_summary<'a>(site: &'a Site, name: &'a str, node: &'a Node) -> NodeSummary<'a> {
    let recorded = site.recording.nodes.get(name);
    NodeSummary {
        node: name,
        stage: node
            .stage
            .map(|stage| stage.as_str())
            .or(recorded.map(|node| node.stage.as_str())),
        cores: node.cores,
        host: node.host.as_deref(),
        mips_per_core: node.mips_per_core,
        cpu_score: node.cpu_score,
        slots_max: node.slots_max,
        modules_max: node.modules_max,
        price_per_hour: node.price_per_hour,
        power_idle_w: node.power_idle_w,
        power_max_w: node.power_max_w,
    }
}

/// The links of the tiers, and recorded ones between nodes of the tiers.
fn links<'a>(site: &'a Site, tiers: &'a Tiers) -> Vec<LinkSummary<'a>> {
    let mut links: Vec<LinkSummary<'a>> = tiers
        .links
        .iter()
        .map(|link| LinkSummary {
            u: &link.u,
            v: &link.v,
            delay_ms: link.delay_ms.map(|delay| delay as f64),
            rate_bps: link.rate_bps.map(|rate| rate as f64),
            price_per_gb: link.price_per_gb,
        })
        .collect();
    let is_known = |node: &String| tiers.nodes.contains_key(node) || node == tiers.outside();
    let recorded = site.recording.links.iter();
    let recorded = recorded.filter(|((u, v), link)| {
        is_known(u) && is_known(v) && tiers.link(u, v).is_none() && link.delay_s.is_some()
    });
    links.extend(recorded.map(|((u, v), link)| LinkSummary {
        u,
        v,
        delay_ms: link.delay_s.map(|delay| delay * 1e3),
        rate_bps: link.rate_bps,
        price_per_gb: None,
    }));
    links
}
