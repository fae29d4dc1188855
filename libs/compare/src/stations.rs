//! [`too_short`]: finds the modules for whose queue a run is too short. [`Load`]: the length of a run in relation to a module's
//! queue.

use std::collections::BTreeMap;

use analyze::intervals::RunLength;

use crate::gather::facts::Deployment;
use crate::gather::{Names, Side, known};
use crate::statistics::{NEVER, TooShort};

/// The load of one module.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    requests: u64,
    /// Length of the run in relaxation times; `None` if the slots are unknown.
    relaxations: Option<f64>,
}

/// The load of each module.
fn loads(side: &Side, names: &Names) -> BTreeMap<u32, Load> {
    let mut sums: BTreeMap<u32, (u64, i64)> = BTreeMap::new();
    let is_released = |module: u32| {
        let deployment = side.facts.modules.get(names.text(module));
        deployment.is_some_and(|of| {
            of.stations
                .iter()
                .any(|station| station.2.as_deref() == Some("released"))
        })
    };
    let mut released: BTreeMap<u32, bool> = BTreeMap::new();
    for (number, row) in side.rows.invocations.iter().enumerate() {
        let is_released = *released
            .entry(row.module)
            .or_insert_with(|| is_released(row.module));
        // A released slot is free during calls, so calls do not count.
        let busy = if is_released {
            side.tree.own_ns(&side.rows, number as u32)
        } else {
            row.service_ns
        };
        let sum = sums.entry(row.module).or_default();
        sum.0 += 1;
        sum.1 = sum.1.saturating_add(known(busy).unwrap_or(0));
    }
    let duration = side.duration_ns().max(1) as f64;
    let load = |(module, (requests, busy_ns)): (u32, (u64, i64))| {
        let deployment = side.facts.modules.get(names.text(module));
        let slots = deployment
            .and_then(Deployment::slots)
            .and_then(|slots| u32::try_from(slots).ok());
        let relaxations = slots.filter(|slots| *slots > 0).and_then(|slots| {
            let service = busy_ns as f64 / requests as f64;
            let busy = busy_ns as f64 / duration;
            match RunLength::of_queue(duration, busy / f64::from(slots), service, slots) {
                RunLength::Relaxations(relaxations) => Some(relaxations),
                RunLength::Unknown => None,
            }
        });
        let load = Load {
            requests,
            relaxations,
        };
        (module, load)
    };
    sums.into_iter().map(load).collect()
}

impl Load {
    /// Returns the needed length if the run is shorter than this number of relaxation times.
    fn too_short(&self, relaxations_min: f64) -> Option<TooShort> {
        let relaxations = self
            .relaxations
            .filter(|relaxations| *relaxations < relaxations_min)?;
        let needed = if relaxations > 0.0 {
            (self.requests as f64 * relaxations_min / relaxations).ceil() as u64
        } else {
            // An overloaded queue never reaches a steady state, however long the run is.
            NEVER
        };
        Some(TooShort {
            values: self.requests,
            needed,
        })
    }
}

/// The modules for whose queue one of the runs is too short.
pub fn too_short(sides: &[Side; 2], names: &Names, relaxations_min: f64) -> BTreeMap<u32, TooShort> {
    let mut found: BTreeMap<u32, TooShort> = BTreeMap::new();
    for (module, load) in sides.iter().flat_map(|side| loads(side, names)) {
        if let Some(short) = load.too_short(relaxations_min) {
            let known = found.entry(module).or_insert(short);
            if known.needed < short.needed {
                *known = short;
            }
        }
    }
    found
}

/// The queue that needs the longest run.
pub fn shortest(too_short: &BTreeMap<u32, TooShort>) -> Option<TooShort> {
    too_short.values().copied().max_by_key(|short| short.needed)
}
