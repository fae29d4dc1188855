//! [`Slots`]: worker slots of modules and nodes, from the inventory and the lives of instances.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::cells::Key;
use super::instances::{Instance, Life};
use super::window::Bounds;

/// Total lifetime of slots, nanoseconds. `None` if the number of slots of an instance is unknown.
type SlotTime = Option<u128>;

/// Slots and life of each instance. `None` if the number of slots of any instance is unknown.
type Lives = Option<Vec<(u64, Life)>>;

/// Application, module and node.
type Station = (Option<String>, String, String);

/// Slots of a run.
#[derive(Debug, Default)]
pub struct Slots {
    by_module: BTreeMap<(Option<String>, String), Lives>,
    by_node: BTreeMap<String, Lives>,
    /// By module and node: total lifetime of slots, and slots of the smallest instance. `None` if the number of slots of an
    /// instance is unknown.
    by_station: BTreeMap<Station, Option<(u128, u32)>>,
    /// Modules whose requests release their slot during downstream calls.
    released: BTreeSet<(Option<String>, String)>,
}

impl Slots {
    /// The slots of these instances within the bounds.
    pub fn within(instances: &[Instance], bounds: Bounds) -> Self {
        let mut slots = Self::default();
        for instance in instances {
            slots.add(instance, bounds);
        }
        slots
    }

    fn add(&mut self, instance: &Instance, bounds: Bounds) {
        let key = (instance.app_id.clone(), instance.module_id.clone());
        let time = instance
            .workers
            .map(|slots| u128::from(slots) * u128::from(instance.life.within(bounds)));
        if instance.is_released {
            self.released.insert(key.clone());
        }
        add_life(self.by_module.entry(key.clone()), instance);
        add_life(self.by_node.entry(instance.node_id.clone()), instance);
        let station = (key.0, key.1, instance.node_id.clone());
        let own = time
            .zip(instance.workers)
            .map(|(time, slots)| (time, u32::try_from(slots).unwrap_or(u32::MAX)));
        let of_station = self.by_station.entry(station).or_insert(Some((0, u32::MAX)));
        *of_station = of_station
            .zip(own)
            .map(|((sum, least), (time, slots))| (sum.saturating_add(time), least.min(slots)));
    }

    /// Total lifetime of the slots of a module within the bounds. For an endpoint, this is the value of its module.
    pub fn of_module(&self, key: &Key, bounds: Bounds) -> SlotTime {
        let module = (key.app_id.clone(), key.module_id.clone()?);
        time_within(self.by_module.get(&module)?, bounds)
    }

    pub fn of_node(&self, key: &Key, bounds: Bounds) -> SlotTime {
        time_within(self.by_node.get(key.node.as_deref()?)?, bounds)
    }

    /// Total lifetime of the slots of a module on a node, and the slots of the smallest instance there.
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

fn add_life<K: Ord>(entry: Entry<'_, K, Lives>, instance: &Instance) {
    let lives = entry.or_insert_with(|| Some(Vec::new()));
    match (lives.as_mut(), instance.workers) {
        (Some(lives), Some(slots)) => lives.push((slots, instance.life)),
        _ => *lives = None,
    }
}

fn time_within(lives: &Lives, bounds: Bounds) -> SlotTime {
    let times = lives.as_ref()?.iter();
    let times = times.map(|(slots, life)| u128::from(*slots) * u128::from(life.within(bounds)));
    // Each product fits into 128 bits, but a sum of two may not.
    Some(times.fold(0, u128::saturating_add))
}
