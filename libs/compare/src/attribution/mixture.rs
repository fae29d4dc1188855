//! [`mix`]: builds the load of a mixture, which has some parts of run A and the other parts of run B.

use plan::stations::{Arrival, Load, Visit, Wait};
use plan::work::NONE;

use super::partners::Partners;

/// The run that each part comes from: 0 for A, 1 for B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mixture {
    pub arrivals: usize,
    pub services: usize,
    pub slots: usize,
    pub placement: usize,
}

/// Keys for random choices. Choices with different keys are independent.
const SERVICE: u64 = 0;
const WAY: u64 = 1;

impl Mixture {
    /// The mixture whose parts come from B if their bits are set, and otherwise from A.
    pub fn from_set(set: usize) -> Self {
        let bit = |part: usize| set >> part & 1;
        Self {
            arrivals: bit(0),
            services: bit(1),
            slots: bit(2),
            placement: bit(3),
        }
    }
}

/// Builds the load of a mixture. Times are relative to the first arrival.
///
/// A request without a counterpart in the other run keeps its own services. For its placement, the instances of its module in the
/// other run take turns; if the other run lacks the module, the request keeps its own placement. Without paired requests,
/// instances take turns for all requests.
pub fn mix(partners: &Partners<'_>, mixture: Mixture) -> Load {
    let mut builder = Builder::new(partners, mixture);
    let source = partners.loads[mixture.arrivals];
    let first_ns = source.arrivals.first().map_or(0, |arrival| arrival.at_ns);
    for (index, arrival) in source.arrivals.iter().enumerate() {
        let index = index as u32;
        let partner = |purpose| partners.of_arrival(mixture.arrivals, index, purpose);
        let (side, root) = match mixture.services == mixture.arrivals {
            true => (mixture.services, arrival.visit),
            false => partner(SERVICE).map_or((mixture.arrivals, arrival.visit), |other| {
                let other = &partners.loads[mixture.services].arrivals[other as usize];
                (mixture.services, other.visit)
            }),
        };
        let way = match mixture.placement == mixture.arrivals {
            true => *arrival,
            false => partner(WAY).map_or(*arrival, |other| {
                partners.loads[mixture.placement].arrivals[other as usize]
            }),
        };
        let visit = builder.add_tree(side, root);
        builder.load.arrivals.push(Arrival {
            visit,
            at_ns: arrival.at_ns - first_ns,
            out_ns: way.out_ns,
            back_ns: way.back_ns,
            ..*arrival
        });
    }
    builder.load
}

struct Builder<'p, 'w> {
    partners: &'p Partners<'w>,
    mixture: Mixture,
    load: Load,
    /// For each instance of A, then of B: its number in the mixture, if the mixture has this instance unchanged.
    instances: [Vec<Option<u32>>; 2],
    /// For each module of the run that does not give the placement: the number of requests that were assigned to instances in
    /// turn.
    turns: Vec<usize>,
    /// Invocations whose calls must still be added, as pairs of their number in their run and in the mixture.
    open: Vec<(u32, u32)>,
}

impl<'p, 'w> Builder<'p, 'w> {
    fn new(partners: &'p Partners<'w>, mixture: Mixture) -> Self {
        let runs = partners.loads;
        let mut load = Load {
            names: runs[mixture.placement].names.clone(),
            ..Load::default()
        };
        let mut instances = runs.map(|run| vec![None; run.names.instances.len()]);
        for number in 0..load.names.instances.len() as u32 {
            instances[mixture.placement][number as usize] = Some(number);
            if mixture.slots != mixture.placement
                && let Some(station) = partners.instances.station(runs, mixture.placement, number)
            {
                load.names.instances[number as usize].station = station;
            }
        }
        Self {
            partners,
            mixture,
            load,
            instances,
            turns: vec![0; runs[1 - mixture.placement].names.modules.len()],
            open: Vec::new(),
        }
    }

    /// Adds a visit of a run, and all visits that it causes.
    fn add_tree(&mut self, side: usize, root: u32) -> u32 {
        let added = self.add_visit(side, root, NONE);
        while let Some((visit, number)) = self.open.pop() {
            self.add_calls(side, visit, number);
        }
        added
    }

    fn add_visit(&mut self, side: usize, visit: u32, caller: u32) -> u32 {
        let number = self.load.visits.len() as u32;
        let instance = self.instance(side, visit);
        let original = self.partners.loads[side].visits[visit as usize];
        self.load.visits.push(Visit {
            instance,
            caller,
            sibling: NONE,
            ..original
        });
        self.open.push((visit, number));
        number
    }

    fn add_calls(&mut self, side: usize, visit: u32, number: u32) {
        let run = self.partners.loads[side];
        let all = run.visits[visit as usize].calls();
        let (begin, first_call) = (all.start as i64, self.load.calls.len());
        let moved = |index: u32| match index {
            NONE => NONE,
            index => (i64::from(index) - begin + first_call as i64) as u32,
        };
        for index in all.clone() {
            let mut call = run.calls[index];
            call.wait = self.add_wait(run, call.wait, moved);
            call.retry_of = moved(call.retry_of);
            call.visit = number;
            call.callee = NONE;
            if side != self.mixture.placement
                && run.calls[index].callee != NONE
                && let Some((out_ns, back_ns)) = self.way(side, index)
            {
                (call.out_ns, call.back_ns) = (out_ns, back_ns);
            }
            self.load.calls.push(call);
        }
        let answer = self.add_wait(run, run.visits[visit as usize].answer, moved);
        let added = &mut self.load.visits[number as usize];
        (added.first_call, added.answer) = (first_call as u32, answer);
        for index in all {
            let (caller, mut before) = (moved(index as u32), NONE);
            let mut callee = run.calls[index].callee;
            while let Some(original) = run.visits.get(callee as usize) {
                let added = self.add_visit(side, callee, caller);
                match before {
                    NONE => self.load.calls[caller as usize].callee = added,
                    before => self.load.visits[before as usize].sibling = added,
                }
                before = added;
                callee = original.sibling;
            }
        }
    }

    /// Copies a wait. `moved` maps calls of the run to calls of the mixture.
    fn add_wait(&mut self, run: &Load, wait: Wait, moved: impl Fn(u32) -> u32) -> Wait {
        let first = self.load.waits_for.len() as u32;
        let waits_for = run.waits_for[wait.places()].iter();
        self.load.waits_for.extend(waits_for.map(|call| moved(*call)));
        Wait { first, ..wait }
    }

    /// The network times of a call, there and back, in the run that gives the placement.
    fn way(&self, side: usize, call: usize) -> Option<(i64, i64)> {
        let (run, other) = (
            self.partners.loads[side],
            self.partners.loads[self.mixture.placement],
        );
        let partner = self.partners.of_visit(side, run.calls[call].callee);
        let paired =
            partner.and_then(|partner| other.calls.get(other.visits[partner as usize].caller as usize));
        let found = paired.or_else(|| {
            let loads = self.partners.loads;
            let like = self.partners.ways.like(loads, self.mixture.placement, call);
            let index = self
                .partners
                .random([side as u64, call as u64, WAY], like.len())?;
            other.calls.get(like[index] as usize)
        })?;
        Some((found.out_ns, found.back_ns))
    }

    /// The instance on which a visit of run `side` is placed.
    fn instance(&mut self, side: usize, visit: u32) -> u32 {
        let run = self.partners.loads[side];
        let instance = run.visits[visit as usize].instance;
        if let Some(number) = self.instances[side][instance as usize] {
            return number;
        }
        let placement = self.mixture.placement;
        let others = self.partners.instances.others(run, side, instance);
        if let Some(partner) = self.partners.of_visit(side, visit) {
            let placed = self.partners.loads[placement].visits[partner as usize].instance;
            if others.contains(&placed) {
                return placed;
            }
        }
        if !others.is_empty() {
            let turn = &mut self.turns[run.names.module_of(instance) as usize];
            *turn += 1;
            return others[(*turn - 1) % others.len()];
        }
        self.add_instance(side, instance)
    }

    /// Adds an instance of a module that the run which gives the placement does not have.
    fn add_instance(&mut self, side: usize, instance: u32) -> u32 {
        let run = self.partners.loads[side];
        let original = &run.names.instances[instance as usize];
        let names = &mut self.load.names;
        let module = names.module(&run.names.modules[original.module as usize]);
        let node = &run.names.nodes[original.node as usize];
        let number = names.instance(module, &original.id, node);
        names.instances[number as usize].station = original.station;
        self.instances[side][instance as usize] = Some(number);
        number
    }
}
