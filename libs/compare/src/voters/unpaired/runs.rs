//! [`Unpaired`]: two runs that are not replays, with their rows by module.

use std::collections::BTreeMap;

use crate::gather::{Names, Side};
use crate::margins::Margins;
use crate::pairs::Simulated;
use crate::statistics::{Estimate, TooShort, mean};

/// Two runs that are not replays of one another.
pub struct Unpaired<'s> {
    pub sides: &'s [Side; 2],
    pub names: &'s Names,
    pub margins: &'s Margins,
    pub simulated: Option<&'s [Simulated; 2]>,
    /// Invocations of each module in the order of their arrival.
    pub by_module: [BTreeMap<u32, Vec<u32>>; 2],
}

impl<'s> Unpaired<'s> {
    pub fn new(
        sides: &'s [Side; 2],
        names: &'s Names,
        margins: &'s Margins,
        simulated: Option<&'s [Simulated; 2]>,
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
            by_module,
        }
    }

    /// The modules that both runs have, with the numbers of their invocations.
    pub fn common(&self) -> impl Iterator<Item = (u32, [&[u32]; 2])> {
        let [a, b] = &self.by_module;
        a.iter()
            .filter_map(|(module, of_a)| Some((*module, [of_a.as_slice(), b.get(module)?.as_slice()])))
    }
}

/// The difference of two independent means.
pub fn difference(a: &[f64], b: &[f64]) -> Result<Estimate, TooShort> {
    Ok(mean::difference(b)?.minus(mean::difference(a)?))
}
