//! Small works by hand, and a random generator of larger ones.

use cctf_proto::cctf::{SpanId, TraceId};
use plan::work::{Arrival, Call, Ending, NONE, Place, Station, Waited, Work, Works};

/// A sequence of numbers that a seed determines (SplitMix64, Steele, Lea and Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Exponential with a mean, at least 1.
    pub fn exponential(&mut self, mean: f64) -> i64 {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((-(1.0 - uniform).ln() * mean) as i64).max(1)
    }
}

/// An invocation to build: calls in groups.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    pub instance: u32,
    pub setup_ns: i64,
    pub groups: Vec<Vec<Branch>>,
    pub tail_ns: i64,
}

/// A call to build.
#[derive(Debug, Clone)]
pub struct Branch {
    pub gap_ns: i64,
    /// Indices within its group.
    pub waits: Vec<usize>,
    pub out_ns: i64,
    pub back_ns: i64,
    /// Without a callee, `back_ns` is its duration.
    pub callee: Option<Tree>,
}

/// Works without calls so far, with one module per station.
pub fn empty(stations: &[Station]) -> Works {
    let mut works = Works::default();
    for (index, station) in stations.iter().enumerate() {
        let module = works.names.module(&format!("m{index}"));
        let instance = works.names.instance(module, "i", "n");
        works.names.instances[instance as usize].station = *station;
        works.names.endpoint(module, Some("GET"), Some("/"));
    }
    works
}

pub fn station(slots: u32, is_released: bool, queue_limit: Option<u32>) -> Station {
    Station {
        slots: Some(slots),
        is_released,
        queue_limit,
    }
}

/// Adds a root with everything that it calls. Roots must be added in order of time.
pub fn add_root(works: &mut Works, at_ns: i64, tree: &Tree) {
    let work = add(works, tree);
    works.arrivals.push(Arrival {
        work,
        at_ns,
        out_ns: 0,
        back_ns: 0,
        span_id: span(work),
        is_root: true,
    });
}

fn span(index: u32) -> SpanId {
    SpanId::from_bytes(&u64::from(index + 1).to_be_bytes()).unwrap()
}

fn add(works: &mut Works, tree: &Tree) -> u32 {
    let index = works.works.len() as u32;
    let first_call = works.calls.len();
    works.works.push(Work {
        trace_id: TraceId::from_bytes(&[1; 16]).unwrap(),
        span_id: span(index),
        enqueue_ns: 0,
        // Otherwise a set-up time would be that of a sleeping thread, which a request that waits does not have.
        wait_ns: 1,
        setup_ns: tree.setup_ns,
        slot_wait_ns: 0,
        response_ns: 0,
        tail_ns: tree.tail_ns,
        first_call: first_call as u32,
        calls: tree.groups.iter().map(|group| group.len() as u32).sum(),
        caller: NONE,
        sibling: NONE,
        instance: tree.instance,
        endpoint: tree.instance,
        waited: Waited::Recorded,
    });
    for group in &tree.groups {
        let base = works.calls.len();
        for (place, branch) in group.iter().enumerate() {
            let first_wait = works.waits_for.len() as u32;
            works
                .waits_for
                .extend(branch.waits.iter().map(|wait| (base + wait) as u32));
            works.calls.push(Call {
                span_id: span(0),
                gap_ns: branch.gap_ns,
                out_ns: branch.out_ns,
                back_ns: branch.back_ns,
                duration_ns: branch.back_ns,
                slot_wait_ns: 0,
                setup_ns: 0,
                early_ns: 0,
                work: index,
                callee: NONE,
                first_wait,
                waits: branch.waits.len() as u32,
                ending: match branch.callee {
                    Some(_) => Ending::Answer,
                    None => Ending::Duration,
                },
                place: Place::Joined,
                begins_group: place == 0,
            });
        }
    }
    for (place, branch) in tree.groups.iter().flatten().enumerate() {
        if let Some(callee) = &branch.callee {
            let callee = add(works, callee);
            works.calls[first_call + place].callee = callee;
            works.works[callee as usize].caller = (first_call + place) as u32;
        }
    }
    index
}

/// Random trees whose calls go to stations of a greater number, so that held slots never wait for one another.
pub struct Forest {
    pub random: Random,
    /// Number of stations.
    pub stations: u32,
    /// Maximum number of groups of calls in one invocation.
    pub groups_max: u64,
    /// Maximum number of calls in a group.
    pub calls_max: u64,
    /// Length of the unit of all times. With 1 many times are equal, with a million hardly any.
    pub unit: u64,
}

impl Forest {
    /// Groups of any kind, and times that are often equal.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            stations: 0,
            groups_max: 2,
            calls_max: 3,
            unit: 1,
        }
    }

    fn time(&mut self, bound: u64) -> i64 {
        (self.random.below(bound) * self.unit + self.random.below(self.unit)) as i64
    }

    /// An invocation whose calls are nested at most `depth` deep.
    fn tree(&mut self, instance: u32, depth: u32) -> Tree {
        let mut tree = Tree {
            instance,
            setup_ns: self.time(3),
            groups: Vec::new(),
            tail_ns: self.time(20),
        };
        for _ in 0..self.random.below(self.groups_max + 1) {
            let mut group: Vec<Branch> = Vec::new();
            let base_ns = self.time(10);
            for place in 0..1 + self.random.below(self.calls_max) as usize {
                let waits: Vec<usize> = (0..place).filter(|_| self.random.below(3) == 0).collect();
                // The first call of a group is the earliest of those that wait for none.
                let gap_ns = match (place, waits.is_empty()) {
                    (0, _) => base_ns,
                    (_, true) => base_ns + self.time(5),
                    (_, false) => self.time(5),
                };
                group.push(self.branch(instance, depth, waits, gap_ns));
            }
            tree.groups.push(group);
        }
        tree
    }

    fn branch(&mut self, instance: u32, depth: u32, waits: Vec<usize>, gap_ns: i64) -> Branch {
        let callee = instance + 1 + self.random.below(2) as u32;
        let is_answered = depth > 0 && callee < self.stations && self.random.below(4) > 0;
        Branch {
            gap_ns,
            waits,
            out_ns: self.time(3),
            back_ns: 1 + self.time(6),
            callee: is_answered.then(|| self.tree(callee, depth - 1)),
        }
    }
}

/// Random roots at the first two of these stations.
pub fn random_works(forest: &mut Forest, stations: &[Station], roots: u64) -> Works {
    forest.stations = stations.len() as u32;
    let mut works = empty(stations);
    let mut at_ns = 0;
    for _ in 0..roots {
        at_ns += forest.time(25);
        let instance = forest.random.below(2) as u32;
        let tree = forest.tree(instance, 3);
        add_root(&mut works, at_ns, &tree);
    }
    works
}
