//! [`Stations`]: the length of the run in relaxation times of each queue. All instances of a module on a node count as one
//! queue.

use std::collections::BTreeMap;

use crate::intervals::RunLength;

use super::cells::{CellGroups, Cells, MODULE, NODE};
use super::figures::Time;
use super::slots::Slots;

/// Run lengths by module and node.
#[derive(Default)]
pub struct Stations(BTreeMap<(u32, u32), RunLength>);

#[derive(Default)]
struct Work {
    busy_ns: u128,
    service_ns: u128,
    services: u64,
}

impl Stations {
    pub fn new(cells: &Cells, slots: Option<&Slots>, time_ns: u64) -> Self {
        let mut works: BTreeMap<(u32, u32), Work> = BTreeMap::new();
        let (modules, nodes) = (cells.keys(MODULE), cells.keys(NODE));
        for (sums, groups) in cells.iter() {
            let work = works.entry(station(groups)).or_default();
            let service = sums.of(Time::Service);
            let is_released = slots.is_some_and(|slots| slots.is_released(&modules[groups[MODULE] as usize]));
            let free = if is_released { sums.waits_ns } else { 0 };
            work.busy_ns += service.sum_ns.saturating_sub(free);
            work.service_ns += service.sum_ns;
            work.services += service.count();
        }
        let length = |(module, node): (u32, u32), work: &Work| {
            let key = (&modules[module as usize], &nodes[node as usize]);
            let Some((slot_ns, workers)) = slots.and_then(|slots| slots.of_station(key.0, key.1)) else {
                return RunLength::Unknown;
            };
            if work.services == 0 || slot_ns == 0 {
                return RunLength::Unknown;
            }
            let utilization = work.busy_ns as f64 / slot_ns as f64;
            let mean_service = work.service_ns as f64 / work.services as f64;
            RunLength::of_queue(time_ns as f64, utilization, mean_service, workers)
        };
        let lengths = works
            .iter()
            .map(|(&station, work)| (station, length(station, work)));
        Self(lengths.collect())
    }

    /// The shortest length over the stations of a group's cells; unknown if the length of any of them is unknown.
    pub fn shortest(&self, cells: impl Iterator<Item = CellGroups>) -> RunLength {
        let mut shortest: Option<f64> = None;
        for groups in cells {
            let Some(RunLength::Relaxations(length)) = self.0.get(&station(groups)) else {
                return RunLength::Unknown;
            };
            shortest = Some(shortest.map_or(*length, |shortest| shortest.min(*length)));
        }
        shortest.map_or(RunLength::Unknown, RunLength::Relaxations)
    }
}

fn station(groups: CellGroups) -> (u32, u32) {
    (groups[MODULE], groups[NODE])
}
