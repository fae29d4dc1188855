//! [`Edges`]: finds the module behind each call, and merges edges that turn out to be the same.
//!
//! A row states the module that answered only if the module was known when the row was written. Otherwise, the first known of
//! these is used: the module in other calls to the same peer; the module with the peer's name; the module of the invocations
//! that some of these calls caused; the peer itself.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use aggregate::maps::Map;

use super::collector::{Collector, EdgeSums, Entry, Probe, Texts};
use super::edge::{Edge, EdgeEnd};
use super::names::Names;
use crate::stats::cells::{Key, decoded};
use crate::stats::figures::QUANTILES;

/// Name of a missing peer or node.
const UNKNOWN: &str = "unknown";

/// An edge whose callee may still be unknown.
#[derive(Debug)]
struct Open {
    from: Option<Key>,
    to: Option<Key>,
    peer: Option<String>,
    sums: EdgeSums,
    probes: Vec<Probe>,
}

/// The edges of a run.
#[derive(Debug)]
pub struct Edges {
    open: Vec<Open>,
    other: EdgeSums,
}

impl Edges {
    pub fn new(collector: Collector, names: &Names) -> Self {
        let mut open: Vec<Open> = collector
            .entries
            .into_iter()
            .map(|entry| opened(entry, names))
            .collect();
        let known = answered(&open);
        for edge in open.iter_mut().filter(|edge| edge.to.is_none()) {
            let answer = edge.peer.as_ref().and_then(|peer| known.get(peer));
            edge.to = answer.cloned().flatten();
        }
        let unknown: Vec<usize> = (0..open.len()).filter(|&edge| open[edge].to.is_none()).collect();
        let peers = unknown.iter().map(|&edge| {
            let app_id = open[edge].from.as_ref().and_then(|from| from.app_id.as_deref());
            (open[edge].peer.as_deref().unwrap_or_default(), app_id)
        });
        for (edge, found) in unknown.iter().zip(names.behind(peers)) {
            open[*edge].to = found;
        }
        Self {
            open,
            other: collector.other,
        }
    }

    /// Calls whose answers have to be looked up, with the number of their edge.
    pub fn probes(&self) -> impl Iterator<Item = (usize, Probe)> {
        let unknown = self.open.iter().enumerate().filter(|(_, edge)| edge.to.is_none());
        unknown.flat_map(|(number, edge)| edge.probes.iter().map(move |probe| (number, *probe)))
    }

    /// Sets the module that answered the looked-up calls of an edge.
    pub fn set_callee(&mut self, edge: usize, module: Option<Key>) {
        if let Some(edge) = self.open.get_mut(edge) {
            edge.to = module;
        }
    }

    /// The edges, sorted by descending total time. The edge of the calls beyond the maximum number of edges comes last.
    pub fn finish(self) -> Vec<Edge> {
        let mut sums: BTreeMap<(Option<Key>, EdgeEnd), EdgeSums> = BTreeMap::new();
        for edge in self.open {
            let to = match edge.to {
                Some(module) => EdgeEnd::Module(module),
                None => EdgeEnd::External(edge.peer.unwrap_or_else(|| UNKNOWN.to_owned())),
            };
            sums.entry((edge.from, to)).or_default().merge(&edge.sums);
        }
        if self.other.calls > 0 {
            sums.insert((None, EdgeEnd::Other), self.other);
        }
        let mut edges: Vec<Edge> = sums.into_iter().map(edge).collect();
        // The sort is stable, so edges with equal sums stay in the order of their names.
        edges.sort_by_key(|edge| (edge.to == EdgeEnd::Other, Reverse(edge.sum_ns)));
        edges
    }
}

fn opened(entry: Entry, names: &Names) -> Open {
    let (from, to, peer) = match entry.texts {
        Texts::Root { app, module } => {
            let to = Key {
                app_id: decoded(&app),
                module_id: decoded(&module),
                ..Key::default()
            };
            (None, Some(to), None)
        }
        Texts::Call {
            module,
            instance,
            peer,
            peer_module,
        } => {
            let module_id = decoded(&module).unwrap_or_else(|| UNKNOWN.to_owned());
            let from = names.caller(module_id, &decoded(&instance).unwrap_or_default());
            let named = decoded(&peer_module);
            let to = named
                .as_deref()
                .and_then(|module| names.callee(module, from.app_id.as_deref()));
            // A module that has no invocations in the files counts as external.
            (Some(from), to, decoded(&peer).or(named))
        }
    };
    Open {
        from,
        to,
        peer,
        sums: entry.sums,
        probes: entry.probes,
    }
}

/// The module that answered at each peer; `None` if several modules did.
fn answered(open: &[Open]) -> Map<String, Option<Key>> {
    let mut known: Map<String, Option<Key>> = Map::default();
    for edge in open {
        if let (Some(peer), Some(module)) = (&edge.peer, &edge.to) {
            let answer = known.entry(peer.clone()).or_insert_with(|| Some(module.clone()));
            if answer.as_ref() != Some(module) {
                *answer = None;
            }
        }
    }
    known
}

fn edge(((from, to), sums): ((Option<Key>, EdgeEnd), EdgeSums)) -> Edge {
    Edge {
        from,
        to,
        calls: sums.calls,
        errors: sums.errors,
        timed: sums.times.sketch.count(),
        sum_ns: sums.times.sum_ns,
        quantiles_ns: QUANTILES.map(|(_, fraction)| sums.times.sketch.quantile(fraction)),
        bytes_out: sums.bytes_out,
        bytes_in: sums.bytes_in,
    }
}
