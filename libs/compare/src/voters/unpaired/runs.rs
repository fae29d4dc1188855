//! [`Unpaired`]: two runs that are no replays of one another, by module.

use std::collections::BTreeMap;

use analyze::intervals::RELAXATIONS_MIN;

use crate::gather::{Names, Side};
use crate::margins::Margins;
use crate::pairs::Simulated;
use crate::stations::Load;
use crate::statistics::{Estimate, TooShort, mean};

/// Two runs that are no replays of one another.
pub struct Unpaired<'s> {
    pub sides: &'s [Side; 2],
    pub names: &'s Names,
    pub margins: &'s Margins,
    pub simulated: Option<&'s [Simulated; 2]>,
    loads: [BTreeMap<u32, Load>; 2],
    /// Invocations of each module in the order of their arrival.
    pub by_module: [BTreeMap<u32, Vec<u32>>; 2],
}

impl<'s> Unpaired<'s> {
    pub fn new(
        sides: &'s [Side; 2],
        names: &'s Names,
        margins: &'s Margins,
        simulated: Option<&'s [Simulated; 2]>,
        loads: [BTreeMap<u32, Load>; 2],
    ) -> Self {
        let by_module = [0, 1].map(|place: usize| {
            let rows = &sides[place].rows.invocations;
            let mut found: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
            for (number, row) in rows.iter().enumerate() {
                found.entry(row.module).or_default().push(number as u32);
            }
            for numbers in found.values_mut() {
                numbers.sort_by_key(|&number| (rows[number as usize].enqueue_ns, number));
            }
            found
        });
        Self {
            sides,
            names,
            margins,
            simulated,
            loads,
            by_module,
        }
    }

    /// The modules of both runs with the numbers of their invocations.
    pub fn common(&self) -> impl Iterator<Item = (u32, [&[u32]; 2])> {
        let [a, b] = &self.by_module;
        a.iter()
            .filter_map(|(module, of_a)| Some((*module, [of_a.as_slice(), b.get(module)?.as_slice()])))
    }

    pub fn too_short(&self, module: u32) -> Option<TooShort> {
        let loads = self.loads.iter().filter_map(|loads| loads.get(&module));
        let short = loads.filter_map(|load| load.too_short(RELAXATIONS_MIN));
        short.max_by_key(|short| short.needed)
    }
}

/// The difference of two independent means.
pub fn difference(a: &[f64], b: &[f64]) -> Result<Estimate, TooShort> {
    Ok(mean::difference(b)?.minus(mean::difference(a)?))
}

pub fn mean_of(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
