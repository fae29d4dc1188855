//! [`Partners`]: for each row of one run, the row of the other run that takes its place in a mixture.

use foldhash::fast::FixedState;
use std::hash::BuildHasher;

use plan::stations::Load;
use plan::work::NONE;

use super::network::Ways;
use super::stations::Instances;

/// Two runs, with the counterparts of their rows.
pub struct Partners<'w> {
    pub loads: [&'w Load; 2],
    /// For each visit of A, then of B: its counterpart in the other run, or [`NONE`].
    visit: [Vec<u32>; 2],
    /// For each visit: the arrival that it belongs to, or [`NONE`].
    arrival_of: [Vec<u32>; 2],
    /// For each endpoint of one run, the arrivals of the other one at the same endpoint.
    by_endpoint: [Vec<Vec<u32>>; 2],
    pub is_paired: bool,
    pub ways: Ways,
    pub instances: Instances,
    seed: u64,
}

impl<'w> Partners<'w> {
    /// `pairs` are paired invocations. Without pairs, the services of a request are those of a random request to the same
    /// endpoint in the other run. The seed determines the random choices.
    pub fn new(loads: [&'w Load; 2], pairs: Option<&[(u32, u32)]>, seed: u64) -> Self {
        let mut visit = loads.map(|load| vec![NONE; load.visits.len()]);
        for &(a, b) in pairs.unwrap_or_default() {
            visit[0][a as usize] = b;
            visit[1][b as usize] = a;
        }
        let arrival_of = loads.map(|load| {
            let mut arrival_of = vec![NONE; load.visits.len()];
            for (index, arrival) in load.arrivals.iter().enumerate() {
                arrival_of[arrival.visit as usize] = index as u32;
            }
            arrival_of
        });
        let [a, b] = loads;
        Self {
            loads,
            visit,
            arrival_of,
            by_endpoint: [arrivals_at(a, b), arrivals_at(b, a)],
            is_paired: pairs.is_some(),
            ways: Ways::new(loads),
            instances: Instances::new(loads),
            seed,
        }
    }

    /// The counterpart of a visit in the other run.
    pub fn of_visit(&self, side: usize, visit: u32) -> Option<u32> {
        let partner = self.visit[side][visit as usize];
        (partner != NONE).then_some(partner)
    }

    /// The arrival in the other run that takes the place of an arrival: its counterpart, if the runs are paired. Otherwise an
    /// arrival at the same endpoint, which `purpose` and the seed select.
    pub fn of_arrival(&self, side: usize, arrival: u32, purpose: u64) -> Option<u32> {
        let visit = self.loads[side].arrivals[arrival as usize].visit;
        if self.is_paired {
            let partner = self.arrival_of[1 - side][self.of_visit(side, visit)? as usize];
            return (partner != NONE).then_some(partner);
        }
        let endpoint = self.loads[side].visits[visit as usize].endpoint;
        let candidates = &self.by_endpoint[side][endpoint as usize];
        let index = self.random([side as u64, u64::from(arrival), purpose], candidates.len())?;
        Some(candidates[index])
    }

    /// A random number below `bound`, which the seed and the keys determine; `None` if `bound` is 0.
    pub fn random(&self, keys: [u64; 3], bound: usize) -> Option<usize> {
        let hash = FixedState::with_seed(self.seed).hash_one(keys);
        // The upper half of the product is as uniform as the hash.
        let scaled = u128::from(hash) * bound as u128;
        (bound > 0).then_some((scaled >> 64) as usize)
    }
}

/// For each endpoint of `of`, the arrivals of `from` at the same endpoint.
fn arrivals_at(of: &Load, from: &Load) -> Vec<Vec<u32>> {
    let name = |load: &Load, endpoint: usize| {
        let named = &load.names.endpoints[endpoint];
        let module = load.names.modules[named.module as usize].clone();
        (module, named.method.clone(), named.route.clone())
    };
    let numbers: std::collections::BTreeMap<_, _> = (0..of.names.endpoints.len())
        .map(|number| (name(of, number), number))
        .collect();
    let of_number: Vec<Option<usize>> = (0..from.names.endpoints.len())
        .map(|number| numbers.get(&name(from, number)).copied())
        .collect();
    let mut found = vec![Vec::new(); of.names.endpoints.len()];
    for (index, arrival) in from.arrivals.iter().enumerate() {
        let endpoint = from.visits[arrival.visit as usize].endpoint;
        if let Some(number) = of_number[endpoint as usize] {
            found[number].push(index as u32);
        }
    }
    found
}
