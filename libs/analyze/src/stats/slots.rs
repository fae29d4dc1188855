//! [`Slots`]: worker slots of modules and nodes, from the inventory and the lives of instances.

use std::collections::{BTreeMap, BTreeSet};

use cctf_proto::cctf::{File, Module, Part, PlacementEvent, PlacementKind, WHOLE_BYTES_MAX};
use rundir::parts::Run;
use rundir::{Ending, Lines, ReadError};

use super::cells::Key;
use super::row::RowError;
use super::scan::{Damage, Damages};
use super::window::Bounds;

/// An instance's first and last start and its last stop, nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Life {
    first_start: Option<i64>,
    last_start: Option<i64>,
    last_stop: Option<i64>,
}

impl Life {
    fn add(&mut self, event: PlacementKind, ts: i64) {
        match event {
            PlacementKind::Start => {
                self.first_start = Some(self.first_start.map_or(ts, |first| first.min(ts)));
                self.last_start = self.last_start.max(Some(ts));
            }
            PlacementKind::Stop => self.last_stop = self.last_stop.max(Some(ts)),
            PlacementKind::Scale | PlacementKind::Migrate => {}
        }
    }

    /// Time in which it lived within the bounds, nanoseconds. A gap between a stop and another start counts as life.
    fn within(&self, bounds: Bounds) -> u64 {
        let start = self
            .first_start
            .map_or(bounds.begin, |start| start.max(bounds.begin));
        let stop = self.last_stop.filter(|_| self.last_stop > self.last_start);
        let stop = stop.map_or(bounds.end, |stop| stop.min(bounds.end));
        u64::try_from(stop.saturating_sub(start)).unwrap_or(0)
    }
}

/// Slots times the time in which their instances lived, nanoseconds. `None` if the slots of an instance are unknown.
type SlotTime = Option<u128>;

/// Application, module and node.
type Station = (Option<String>, String, String);

/// Slots of a run.
#[derive(Debug, Default)]
pub struct Slots {
    by_module: BTreeMap<(Option<String>, String), SlotTime>,
    by_node: BTreeMap<String, SlotTime>,
    /// By module and node, with the slots of its smallest instance. None if the slots of an instance are unknown.
    by_station: BTreeMap<Station, Option<(u128, u32)>>,
    /// Modules whose requests give up their slot during downstream calls.
    released: BTreeSet<(Option<String>, String)>,
}

impl Slots {
    /// Reads the inventory of the last part that has one, and the placement events of all parts.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(
        run: &Run,
        parts: &[Part],
        bounds: Bounds,
        damages: &mut Damages,
    ) -> Result<Option<Self>, ReadError> {
        let mut inventory = None;
        let mut lives = BTreeMap::new();
        for part in parts {
            let folder = rundir::RunFolder::open(&run.folder(part))?;
            if let Some(bytes) = folder.whole(File::ModuleInventory, WHOLE_BYTES_MAX)? {
                inventory = Some(bytes);
            }
            if let Some(lines) = folder.lines(File::PlacementEvents)? {
                read_lives(lines, &mut lives, damages)?;
            }
        }
        let modules = inventory
            .as_deref()
            .map(serde_json::from_slice::<Vec<Module<'_>>>);
        let Some(Ok(modules)) = modules else {
            return Ok(None);
        };
        let mut slots = Self::default();
        for module in &modules {
            slots.add(module, &lives, bounds);
        }
        Ok(Some(slots))
    }

    fn add(&mut self, module: &Module<'_>, lives: &BTreeMap<String, Life>, bounds: Bounds) {
        let app_id = module.app_id.as_ref().map(|app| app.to_string());
        let key = (app_id, module.module_id.to_string());
        for instance in module.instances.iter().flatten() {
            let life = lives.get(&*instance.instance_id).copied().unwrap_or_default();
            let time = instance
                .workers
                .map(|slots| u128::from(slots) * u128::from(life.within(bounds)));
            if instance.slot_policy.as_deref() == Some("released") {
                self.released.insert(key.clone());
            }
            let of_module = self.by_module.entry(key.clone()).or_insert(Some(0));
            *of_module = of_module.zip(time).map(|(sum, time)| sum + time);
            let station = (key.0.clone(), key.1.clone(), instance.node_id.to_string());
            let own = time
                .zip(instance.workers)
                .map(|(time, slots)| (time, u32::try_from(slots).unwrap_or(u32::MAX)));
            let of_station = self.by_station.entry(station).or_insert(Some((0, u32::MAX)));
            *of_station = of_station
                .zip(own)
                .map(|((sum, least), (time, slots))| (sum + time, least.min(slots)));
            let of_node = self
                .by_node
                .entry(instance.node_id.to_string())
                .or_insert(Some(0));
            *of_node = of_node.zip(time).map(|(sum, time)| sum + time);
        }
    }

    /// Slots times time of a module or an endpoint's module.
    pub fn of_module(&self, key: &Key) -> SlotTime {
        let module = (key.app_id.clone(), key.module_id.clone()?);
        self.by_module.get(&module).copied().flatten()
    }

    pub fn of_node(&self, key: &Key) -> SlotTime {
        self.by_node.get(key.node.as_deref()?).copied().flatten()
    }

    /// Slots times time of a module on a node, and the slots of its smallest instance there.
    pub fn of_station(&self, module: &Key, node: &Key) -> Option<(u128, u32)> {
        let station = (
            module.app_id.clone(),
            module.module_id.clone()?,
            node.node.clone()?,
        );
        self.by_station.get(&station).copied().flatten()
    }

    pub fn is_released(&self, key: &Key) -> bool {
        let module = key.module_id.clone().map(|module| (key.app_id.clone(), module));
        module.is_some_and(|module| self.released.contains(&module))
    }
}

fn read_lives(
    mut lines: Lines,
    lives: &mut BTreeMap<String, Life>,
    damages: &mut Damages,
) -> Result<(), ReadError> {
    let path = lines.path().to_owned();
    while let Some(line) = lines.next_line()? {
        if line.ending == Ending::EndOfFile {
            break;
        }
        match serde_json::from_slice::<PlacementEvent<'_>>(line.bytes) {
            Ok(event) => {
                if let Some(instance_id) = &event.instance_id {
                    let life = lives.entry(instance_id.to_string()).or_default();
                    life.add(event.event, event.ts.as_ns());
                }
            }
            Err(_) => damages.add(Damage {
                path: path.clone(),
                line: line.number,
                error: RowError::InvalidRow,
            }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_count_while_their_instance_lives() {
        let bounds = Bounds { begin: 100, end: 200 };
        let life = |events: &[(PlacementKind, i64)]| {
            let mut life = Life::default();
            events.iter().for_each(|&(event, ts)| life.add(event, ts));
            life.within(bounds)
        };
        use PlacementKind::{Start, Stop};
        assert_eq!(life(&[]), 100);
        assert_eq!(life(&[(Start, 50)]), 100);
        assert_eq!(life(&[(Start, 120), (Stop, 150)]), 30);
        assert_eq!(life(&[(Start, 120), (Stop, 150), (Start, 160)]), 80);
        assert_eq!(life(&[(Start, 20), (Stop, 50)]), 0);
        assert_eq!(life(&[(Start, 250)]), 0);
    }
}
