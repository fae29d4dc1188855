//! [`Ways`]: times on the network between modules, for calls without a counterpart.

use std::collections::BTreeMap;

use plan::work::{NONE, Works};

/// Numbers of the calling and of the called module.
type Edge = (u32, u32);

/// The calls of both runs by caller and callee.
pub struct Ways {
    /// For each run, its calls by their modules.
    edges: [BTreeMap<Edge, Vec<u32>>; 2],
}

impl Ways {
    pub fn new(works: [&Works; 2]) -> Self {
        let edges = works.map(|works| {
            let mut edges: BTreeMap<Edge, Vec<u32>> = BTreeMap::new();
            for (index, call) in works.calls.iter().enumerate() {
                if call.callee != NONE {
                    edges.entry(edge(works, index)).or_default().push(index as u32);
                }
            }
            edges
        });
        Self { edges }
    }

    /// The calls of run `side` between the modules of a call of the other run.
    pub fn like(&self, works: [&Works; 2], side: usize, call: usize) -> &[u32] {
        let (own, other) = (works[1 - side], works[side]);
        let number = |module: u32| other.names.find_module(&own.names.modules[module as usize]);
        let (from, to) = edge(own, call);
        let edge = number(from).zip(number(to));
        edge.and_then(|edge| self.edges[side].get(&edge))
            .map_or(&[], Vec::as_slice)
    }
}

fn edge(works: &Works, call: usize) -> Edge {
    let module = |work: u32| works.names.module_of(works.works[work as usize].instance);
    let call = &works.calls[call];
    (module(call.work), module(call.callee))
}
