//! [`platform`]: writes `platform.xml`, with the nodes as hosts of SimGrid and the links between them.

use std::fmt::Write as _;

use super::names::{Inventories, name};
use crate::assumptions::Assumptions;
use crate::source::{LinkFacts, Source};
use crate::xml::escaped;

/// Number of CPUs of a node that does not report it. No run uses this many at once.
const CPUS_UNKNOWN: u64 = 1 << 20;
/// Speed of all nodes, unless all nodes with instances have a speed in the same unit. Only ratios of speeds matter.
const SPEED_UNKNOWN: f64 = 1e9;
/// Rate of a link without a known rate, bytes per second. With this rate, bodies take no time.
const RATE_UNKNOWN: f64 = 1e15;

/// `platform.xml`.
pub fn platform(source: &Source<'_>) -> String {
    let names = &source.plan.recorded.names;
    let id = |node: u32| escaped(&name(&names.nodes[node as usize]));
    let mut out = String::from(
        "<?xml version=\"1.0\"?>\n<!DOCTYPE platform SYSTEM \"https://simgrid.org/simgrid.dtd\">\n<platform version=\"4.1\">\n  <zone id=\"run\" routing=\"Full\">\n",
    );
    // Writing to a String cannot fail.
    for (number, speed) in (0..).zip(speeds(source)) {
        let cpus = source.nodes[number as usize]
            .cpu_cores
            .unwrap_or(CPUS_UNKNOWN)
            .max(1);
        let _ = writeln!(
            out,
            "    <host id=\"{}\" speed=\"{speed}f\" core=\"{cpus}\"/>",
            id(number)
        );
    }
    let known: Vec<&LinkFacts> = routes(source).collect();
    for link in &known {
        let rate = link.rate_bps.map_or(RATE_UNKNOWN, |rate| rate / 8.0);
        let delay = link.delay_s.unwrap_or(0.0);
        let (from, to) = (id(link.from), id(link.to));
        let _ = writeln!(
            out,
            "    <link id=\"{from}-&gt;{to}\" bandwidth=\"{rate}Bps\" latency=\"{delay}s\"/>"
        );
    }
    for link in &known {
        let (from, to) = (id(link.from), id(link.to));
        let _ = writeln!(
            out,
            "    <route src=\"{from}\" dst=\"{to}\" symmetrical=\"NO\"><link_ctn id=\"{from}-&gt;{to}\"/></route>"
        );
    }
    out.push_str("  </zone>\n</platform>\n");
    out
}

/// The links with a known delay.
fn routes<'s>(source: &'s Source<'_>) -> impl Iterator<Item = &'s LinkFacts> {
    source
        .links
        .iter()
        .filter(|link| link.from != link.to && link.delay_s.is_some())
}

/// Speed of each node. If all nodes with instances have `mips_per_core`, this value is used. Otherwise, if all of them have a
/// measured score, the score is used. Otherwise, all nodes have the same speed.
fn speeds(source: &Source<'_>) -> Vec<f64> {
    let names = &source.plan.recorded.names;
    let with_instances = || {
        names
            .instances
            .iter()
            .map(|instance| &source.nodes[instance.node as usize])
    };
    let by_mips = with_instances().all(|node| node.mips_per_core.is_some());
    let by_score = with_instances().all(|node| node.cpu_score.is_some());
    let nodes = source.nodes.iter().map(|node| {
        let speed = match (by_mips, by_score) {
            (true, _) => node.mips_per_core,
            (false, true) => node.cpu_score,
            (false, false) => None,
        };
        let speed = speed.filter(|speed| *speed > 0.0 && speed.is_finite());
        speed.map_or(SPEED_UNKNOWN, |millions| millions * 1e6)
    });
    nodes.collect()
}

/// Adds the assumptions of the platform.
pub fn assumptions(source: &Source<'_>, inventories: &Inventories, assumptions: &mut Assumptions) {
    let names = &source.plan.recorded.names.nodes;
    let has_route = |from: u32, to: u32| source.link(from, to).is_some_and(|link| link.delay_s.is_some());
    let unknown: Vec<String> = source
        .calling_nodes()
        .into_iter()
        .filter(|&(from, to)| !has_route(from, to) || !has_route(to, from))
        .map(|(from, to)| format!("{}->{}", names[from as usize], names[to as usize]))
        .collect();
    assumptions.add_named(
        "link_unknown",
        false,
        &unknown,
        "pair of nodes has no link with a delay in both directions: its calls take the recorded network time",
        "pairs of nodes have no link with a delay in both directions: their calls take the recorded network time",
    );
    let without_rate: Vec<String> = routes(source)
        .filter(|link| link.rate_bps.is_none())
        .map(|link| format!("{}->{}", names[link.from as usize], names[link.to as usize]))
        .collect();
    assumptions.add_named(
        "rate_unknown",
        false,
        &without_rate,
        "link has no rate: sizes of bodies do not matter on it",
        "links have no rate: sizes of bodies do not matter on them",
    );
    assumptions.cpus(source);
    assumptions.add_named(
        "shared_machine",
        false,
        &inventories.shared,
        "node shares its machine with another one: in the simulation, each has all CPUs of the machine",
        "nodes share a machine with others: in the simulation, each has all CPUs of the machine",
    );
}
