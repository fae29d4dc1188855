//! [`Instances`]: finds the instance in one run that corresponds to an instance in the other.

use plan::stations::Load;
use plan::work::Station;

/// The instances of both runs by module.
pub struct Instances {
    /// For each run, the instances of each module.
    of_module: [Vec<Vec<u32>>; 2],
    /// For each run: the number of each of its modules in the other run.
    other: [Vec<Option<u32>>; 2],
}

impl Instances {
    pub fn new(loads: [&Load; 2]) -> Self {
        let of_module = loads.map(|load| {
            let mut of_module = vec![Vec::new(); load.names.modules.len()];
            for (number, instance) in load.names.instances.iter().enumerate() {
                of_module[instance.module as usize].push(number as u32);
            }
            of_module
        });
        let numbers = |of: &Load, other: &Load| {
            let modules = of.names.modules.iter();
            modules.map(|module| other.names.find_module(module)).collect()
        };
        let [a, b] = loads;
        Self {
            of_module,
            other: [numbers(a, b), numbers(b, a)],
        }
    }

    /// The instances of the same module in the other run.
    pub fn others(&self, load: &Load, side: usize, instance: u32) -> &[u32] {
        let module = self.other[side][load.names.module_of(instance) as usize];
        module.map_or(&[], |module| &self.of_module[1 - side][module as usize])
    }

    /// The station in the other run that corresponds to an instance: the one with the same id, or else the one at the same
    /// index among the module's instances. `None` if the other run does not have the module.
    pub fn station(&self, loads: [&Load; 2], side: usize, instance: u32) -> Option<Station> {
        let others = self.others(loads[side], side, instance);
        let other = &loads[1 - side].names.instances;
        let own = &loads[side].names.instances[instance as usize];
        let same_id = others.iter().find(|number| other[**number as usize].id == own.id);
        let place = || {
            let siblings = &self.of_module[side][own.module as usize];
            let place = siblings.iter().position(|number| *number == instance)?;
            others.get(place % others.len().max(1))
        };
        same_id
            .or_else(place)
            .map(|number| other[*number as usize].station)
    }
}
