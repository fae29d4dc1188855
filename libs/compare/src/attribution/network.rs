//! [`Ways`]: recorded network times between modules, for calls that have no counterpart in the other run.

use std::collections::BTreeMap;

use plan::stations::Load;
use plan::work::NONE;

/// Numbers of the calling and of the called module.
type Edge = (u32, u32);

/// The calls of both runs, grouped by calling and called module.
pub struct Ways {
    /// For each run, the calls between each pair of modules.
    edges: [BTreeMap<Edge, Vec<u32>>; 2],
}

impl Ways {
    pub fn new(loads: [&Load; 2]) -> Self {
        let edges = loads.map(|load| {
            let mut edges: BTreeMap<Edge, Vec<u32>> = BTreeMap::new();
            for (index, call) in load.calls.iter().enumerate() {
                if call.callee != NONE {
                    edges.entry(edge(load, index)).or_default().push(index as u32);
                }
            }
            edges
        });
        Self { edges }
    }

    /// The calls in run `side` between the same two modules as a call of the other run.
    pub fn like(&self, loads: [&Load; 2], side: usize, call: usize) -> &[u32] {
        let (own, other) = (loads[1 - side], loads[side]);
        let number = |module: u32| other.names.find_module(&own.names.modules[module as usize]);
        let (from, to) = edge(own, call);
        let edge = number(from).zip(number(to));
        edge.and_then(|edge| self.edges[side].get(&edge))
            .map_or(&[], Vec::as_slice)
    }
}

fn edge(load: &Load, call: usize) -> Edge {
    let module = |visit: u32| load.names.module_of(load.visits[visit as usize].instance);
    let call = &load.calls[call];
    (module(call.visit), module(call.callee))
}
