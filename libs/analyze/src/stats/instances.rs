//! [`Instance`]: the instances in the [`inventory`], with their slots and lives.

use std::collections::BTreeMap;

use cctf_proto::cctf::{File, Module, Part, PlacementEvent, PlacementKind, WHOLE_BYTES_MAX};
use rundir::parts::Run;
use rundir::{Lines, ReadError, RunFolder};

use super::scan::Damages;
use super::window::Bounds;

/// An instance.
#[derive(Debug, Clone)]
pub struct Instance {
    pub app_id: Option<String>,
    pub module_id: String,
    pub instance_id: String,
    pub node_id: String,
    /// Number of slots; `None` if unknown.
    pub workers: Option<u64>,
    /// Whether a request releases its slot during downstream calls.
    pub is_released: bool,
    pub life: Life,
}

/// An instance's first and last start and its last stop, nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Life {
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

    /// The part of the instance's life within the bounds, nanoseconds. The time between a stop and a later start counts as
    /// life.
    pub fn within(&self, bounds: Bounds) -> u64 {
        let start = self
            .first_start
            .map_or(bounds.begin, |start| start.max(bounds.begin));
        let stop = self.last_stop.filter(|_| self.last_stop > self.last_start);
        let stop = stop.map_or(bounds.end, |stop| stop.min(bounds.end));
        u64::try_from(stop.saturating_sub(start)).unwrap_or(0)
    }
}

/// The inventory of the last part that has an inventory; empty if no part has one.
///
/// # Errors
/// If a file cannot be read.
pub fn inventory(run: &Run, parts: &[Part]) -> Result<Vec<u8>, ReadError> {
    let mut inventory = None;
    for part in parts {
        let folder = RunFolder::open(&run.folder(part))?;
        inventory = folder
            .whole(File::ModuleInventory, WHOLE_BYTES_MAX)?
            .or(inventory);
    }
    Ok(inventory.unwrap_or_default())
}

/// Reads the inventory of the last part that has an inventory, and the placement events of all parts. `None` if no part has a
/// valid inventory.
///
/// # Errors
/// If a file cannot be read.
pub fn read(run: &Run, parts: &[Part], damages: &mut Damages) -> Result<Option<Vec<Instance>>, ReadError> {
    let mut lives = BTreeMap::new();
    for part in parts {
        if let Some(lines) = RunFolder::open(&run.folder(part))?.lines(File::PlacementEvents)? {
            read_lives(lines, &mut lives, damages)?;
        }
    }
    let inventory = inventory(run, parts)?;
    let Ok(modules) = serde_json::from_slice::<Vec<Module<'_>>>(&inventory) else {
        return Ok(None);
    };
    let mut found = Vec::new();
    for module in &modules {
        for instance in module.instances.iter().flatten() {
            found.push(Instance {
                app_id: module.app_id.as_ref().map(|app| app.to_string()),
                module_id: module.module_id.to_string(),
                instance_id: instance.instance_id.to_string(),
                node_id: instance.node_id.to_string(),
                workers: instance.workers,
                is_released: instance.slot_policy.as_deref() == Some("released"),
                life: lives.get(&*instance.instance_id).copied().unwrap_or_default(),
            });
        }
    }
    Ok(Some(found))
}

fn read_lives(
    lines: Lines,
    lives: &mut BTreeMap<String, Life>,
    damages: &mut Damages,
) -> Result<(), ReadError> {
    let path = lines.path().to_owned();
    let on_row = |line: &[u8]| {
        let Ok(event) = serde_json::from_slice::<PlacementEvent<'_>>(line) else {
            return false;
        };
        if let Some(instance_id) = &event.instance_id {
            let life = lives.entry(instance_id.to_string()).or_default();
            life.add(event.event, event.ts.as_ns());
        }
        true
    };
    lines.each_row(on_row, |line| damages.add_row(&path, line))
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
