//! [`Traffic`]: bytes between instances; [`links`]: what the links of a placement carry; [`cost`]: what its nodes and links cost.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashMapExt as _};
use plan::stations::Load;
use serde::Serialize;

use crate::evaluation::Evaluation;
use crate::surroundings::{Shared, Surroundings};
use crate::tiers::Tiers;

/// Bytes of bodies by calling and called instance: of requests, and of answers.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    by_pair: HashMap<(u32, u32), [u64; 2]>,
    span_s: f64,
}

/// One direction of a link.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkUse {
    /// Sending node.
    pub u: String,
    /// Receiving node.
    pub v: String,
    /// One way; null if the link is unknown.
    pub delay_ms: Option<f64>,
    /// Bits per second; null if there is no limit.
    pub rate_bps: Option<f64>,
    pub bytes_per_s: f64,
    /// Null without a limit.
    pub utilisation: Option<f64>,
}

/// Null where no figure is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Default)]
pub struct Cost {
    /// Of the nodes with modules, and of the traffic between nodes.
    pub price_per_hour: Option<f64>,
    pub power_w: Option<f64>,
}

impl Traffic {
    pub fn new(load: &Load, span_ns: i64) -> Self {
        let mut by_pair: HashMap<(u32, u32), [u64; 2]> = HashMap::new();
        for call in load.calls.iter().filter(|call| call.passes_link()) {
            let instance = |visit: u32| load.visits[visit as usize].instance;
            let bytes = by_pair
                .entry((instance(call.visit), instance(call.callee)))
                .or_default();
            bytes[0] += u64::from(call.bytes_out);
            bytes[1] += u64::from(call.bytes_in);
        }
        Self {
            by_pair,
            span_s: span_ns as f64 / 1e9,
        }
    }
}

/// The directions of links between different nodes that carry calls, by their names.
pub fn links(traffic: &Traffic, surroundings: &Surroundings) -> Vec<LinkUse> {
    // By calling and called node, because each such pair has a link of its own.
    let mut by_link: BTreeMap<(&str, &str), [u64; 2]> = BTreeMap::new();
    for ((caller, callee), bytes) in &traffic.by_pair {
        let [u, v] = [caller, callee].map(|instance| surroundings.nodes[*instance as usize].as_str());
        if u != v {
            let sums = by_link.entry((u, v)).or_default();
            sums[0] += bytes[0];
            sums[1] += bytes[1];
        }
    }
    let mut found = Vec::new();
    for ((u, v), bytes) in by_link {
        let figures = surroundings.links.get(&(u.to_owned(), v.to_owned()));
        for (from, to, bytes) in [(u, v, bytes[0]), (v, u, bytes[1])] {
            let bytes_per_s = bytes as f64 / traffic.span_s;
            let rate_bps = figures.and_then(|figures| figures.1);
            found.push(LinkUse {
                u: from.to_owned(),
                v: to.to_owned(),
                delay_ms: figures.map(|figures| figures.0 * 1e3),
                rate_bps,
                bytes_per_s,
                utilisation: rate_bps.map(|rate| 8.0 * bytes_per_s / rate),
            });
        }
    }
    found
}

/// The cost of a placement.
pub fn cost(tiers: &Tiers, surroundings: &Surroundings, found: &Evaluation, links: &[LinkUse]) -> Cost {
    let used: BTreeSet<&String> = surroundings.nodes.iter().collect();
    let prices: Vec<f64> = used
        .iter()
        .filter_map(|node| tiers.nodes.get(*node)?.price_per_hour)
        .collect();
    let traffic: Vec<f64> = links
        .iter()
        .filter_map(|link| {
            let price = tiers.link(&link.u, &link.v)?.price_per_gb?;
            Some(price * link.bytes_per_s * 3_600.0 / 1e9)
        })
        .collect();
    let has_price = !prices.is_empty() || !traffic.is_empty();
    let mut powers = Vec::new();
    for (server, busy) in surroundings.servers.iter().zip(&found.servers) {
        let Shared::Cpus { nodes, .. } = server else {
            continue;
        };
        // The nodes of one host are one machine.
        powers.extend(nodes.iter().find_map(|node| {
            let node = tiers.nodes.get(node)?;
            let (idle, max) = (node.power_idle_w?, node.power_max_w?);
            Some(idle + (max - idle) * busy.min(1.0))
        }));
    }
    Cost {
        price_per_hour: has_price.then(|| prices.iter().sum::<f64>() + traffic.iter().sum::<f64>()),
        power_w: (!powers.is_empty()).then(|| powers.iter().sum()),
    }
}
