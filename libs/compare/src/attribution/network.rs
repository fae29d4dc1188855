//! [`Ways`]: times on the network between modules, for calls without a counterpart.

use std::collections::BTreeMap;

use plan::work::{NONE, Works};

/// Calling and called module.
type Edge = (String, String);

/// The calls of both runs by caller and callee.
pub struct Ways {
    /// For each run: for each module number of the caller and the callee, the list of calls.
    edges: [BTreeMap<Edge, Vec<u32>>; 2],
}

impl Ways {
    pub fn new(works: [&Works; 2]) -> Self {
        let edges = works.map(|works| {
            let mut numbered: BTreeMap<(u32, u32), Vec<u32>> = BTreeMap::new();
            for (index, call) in works.calls.iter().enumerate() {
                if call.callee != NONE {
                    numbered.entry(edge(works, index)).or_default().push(index as u32);
                }
            }
            let name = |number: u32| works.names.modules[number as usize].clone();
            numbered
                .into_iter()
                .map(|((from, to), calls)| ((name(from), name(to)), calls))
                .collect()
        });
        Self { edges }
    }

    /// The calls of run `side` between the modules of a call of the other run.
    pub fn like(&self, side: usize, works: &Works, call: usize) -> &[u32] {
        let (from, to) = edge(works, call);
        let name = |number: u32| works.names.modules[number as usize].clone();
        self.edges[side]
            .get(&(name(from), name(to)))
            .map_or(&[], Vec::as_slice)
    }
}

fn edge(works: &Works, call: usize) -> (u32, u32) {
    let module = |work: u32| works.names.module_of(works.works[work as usize].instance);
    let call = &works.calls[call];
    (module(call.work), module(call.callee))
}
