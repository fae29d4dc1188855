//! [`Slots`]: worker slots of modules and nodes, from the inventory and the lives of instances.

use std::collections::{BTreeMap, BTreeSet};

use super::cells::Key;
use super::instances::Instance;
use super::window::Bounds;

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
        let of_module = self.by_module.entry(key.clone()).or_insert(Some(0));
        *of_module = of_module.zip(time).map(|(sum, time)| sum + time);
        let station = (key.0, key.1, instance.node_id.clone());
        let own = time
            .zip(instance.workers)
            .map(|(time, slots)| (time, u32::try_from(slots).unwrap_or(u32::MAX)));
        let of_station = self.by_station.entry(station).or_insert(Some((0, u32::MAX)));
        *of_station = of_station
            .zip(own)
            .map(|((sum, least), (time, slots))| (sum + time, least.min(slots)));
        let of_node = self.by_node.entry(instance.node_id.clone()).or_insert(Some(0));
        *of_node = of_node.zip(time).map(|(sum, time)| sum + time);
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
