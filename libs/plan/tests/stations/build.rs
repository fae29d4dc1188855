//! Small loads made by hand, and a random generator of larger loads.

use cctf_proto::cctf::{SpanId, TraceId};
use plan::plan::Ends;
use plan::stations::{Arrival, Call, Fails, Load, Visit, Wait};
use plan::work::{NONE, Station, Waited};

/// Numbers that a seed determines (SplitMix64, Steele, Lea and Flood 2014).
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

    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// An exponential random number with this mean. It is at least 1.
    pub fn exponential(&mut self, mean: f64) -> i64 {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((-(1.0 - uniform).ln() * mean) as i64).max(1)
    }
}

/// The calls for which a call or an answer waits. Calls are given by their position in the visit.
#[derive(Debug, Clone, Default)]
pub struct Waits {
    pub after: Vec<usize>,
    pub any_of: Vec<usize>,
    pub need: usize,
    pub gap_ns: i64,
    pub cpu_ns: i64,
    /// Time that the thread of a slot needs to wake up when the visit returns to the slot.
    pub setup_ns: u32,
    pub has_waited: bool,
}

/// A visit to build.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    pub instance: u32,
    pub setup_ns: i64,
    /// Whether the recorded visit waited for its first slot.
    pub has_waited: bool,
    pub waited: Waited,
    pub calls: Vec<Branch>,
    pub answer: Waits,
    pub fails: Fails,
    pub beside_cpu_ns: i64,
    /// Time after the previous visit that the same call causes.
    pub delay_ns: i64,
}

/// A call to build.
#[derive(Debug, Clone)]
pub struct Branch {
    pub waits: Waits,
    pub out_ns: i64,
    pub back_ns: i64,
    pub ahead_ns: i64,
    pub early_ns: u32,
    pub bytes: [u32; 2],
    pub ends: Ends,
    pub callees: Vec<Tree>,
    pub retry_of: Option<usize>,
    pub is_after_answer: bool,
    pub is_message: bool,
    pub is_failed: bool,
    pub fails_visit: bool,
}

impl Tree {
    /// A visit with own time, but without calls.
    pub fn leaf(own_ns: i64) -> Self {
        Self {
            answer: Waits {
                gap_ns: own_ns,
                ..Waits::default()
            },
            has_waited: true,
            waited: Waited::Recorded,
            ..Self::default()
        }
    }
}

impl Branch {
    /// A call that is answered by one visit.
    pub fn to(callee: Tree) -> Self {
        Self {
            callees: vec![callee],
            ends: Ends::Answer,
            ..Self::lasting(0)
        }
    }

    /// A call without an answer.
    pub fn lasting(ns: i64) -> Self {
        Self {
            waits: Waits::default(),
            out_ns: 0,
            back_ns: 0,
            ahead_ns: 0,
            early_ns: 0,
            bytes: [0; 2],
            ends: Ends::Duration(ns),
            callees: Vec::new(),
            retry_of: None,
            is_after_answer: false,
            is_message: false,
            is_failed: false,
            fails_visit: false,
        }
    }
}

/// A load without visits. Each station has its own module.
pub fn empty(stations: &[Station]) -> Load {
    let mut load = Load::default();
    for (index, station) in stations.iter().enumerate() {
        let module = load.names.module(&format!("m{index}"));
        let instance = load.names.instance(module, "i", "n");
        load.names.instances[instance as usize].station = *station;
        load.names.endpoint(module, Some("GET"), Some("/"));
    }
    load
}

pub fn station(slots: u32, is_released: bool, queue_limit: Option<u32>) -> Station {
    Station {
        slots: Some(slots),
        is_released,
        queue_limit,
    }
}

/// Adds a root, with all visits and calls that it causes. Roots must be added in order of time.
pub fn add_root(load: &mut Load, at_ns: i64, tree: &Tree) {
    let visit = add(load, tree);
    load.arrivals.push(Arrival {
        visit,
        at_ns,
        out_ns: 0,
        back_ns: 0,
        bytes_in: 0,
        bytes_out: 0,
        span_id: span(visit),
        is_root: true,
    });
}

fn span(index: u32) -> SpanId {
    SpanId::from_bytes(&u64::from(index + 1).to_be_bytes()).unwrap()
}

fn add(load: &mut Load, tree: &Tree) -> u32 {
    let number = load.visits.len() as u32;
    let first_call = load.calls.len() as u32;
    for branch in &tree.calls {
        let call = Call {
            wait: add_wait(load, first_call, &branch.waits),
            out_ns: branch.out_ns,
            back_ns: branch.back_ns,
            ahead_ns: branch.ahead_ns,
            ends: branch.ends,
            visit: number,
            callee: NONE,
            retry_of: branch
                .retry_of
                .map_or(NONE, |attempt| first_call + attempt as u32),
            early_ns: branch.early_ns,
            bytes_out: branch.bytes[0],
            bytes_in: branch.bytes[1],
            is_after_answer: branch.is_after_answer,
            is_message: branch.is_message,
            is_failed: branch.is_failed,
            fails_visit: branch.fails_visit,
        };
        load.calls.push(call);
    }
    let answer = add_wait(load, first_call, &tree.answer);
    load.visits.push(Visit {
        trace_id: TraceId::from_bytes(&[1; 16]).unwrap(),
        span_id: span(number),
        enqueue_ns: 0,
        wait_ns: i64::from(tree.has_waited),
        setup_ns: tree.setup_ns,
        slot_wait_ns: 0,
        response_ns: 0,
        beside_cpu_ns: tree.beside_cpu_ns,
        delay_ns: tree.delay_ns,
        first_call,
        calls: tree.calls.len() as u32,
        caller: NONE,
        sibling: NONE,
        instance: tree.instance,
        endpoint: tree.instance,
        waited: tree.waited,
        fails: tree.fails,
        answer,
    });
    for (call, branch) in (first_call..).zip(&tree.calls) {
        let mut before = NONE;
        for callee in &branch.callees {
            let callee = add(load, callee);
            load.visits[callee as usize].caller = call;
            match load.visits.get_mut(before as usize) {
                Some(before) => before.sibling = callee,
                None => load.calls[call as usize].callee = callee,
            }
            before = callee;
        }
    }
    number
}

fn add_wait(load: &mut Load, first_call: u32, waits: &Waits) -> Wait {
    let first = load.waits_for.len() as u32;
    let calls = waits.after.iter().chain(&waits.any_of);
    load.waits_for.extend(calls.map(|call| first_call + *call as u32));
    Wait {
        first,
        after: waits.after.len() as u16,
        any_of: waits.any_of.len() as u16,
        need: waits.need as u16,
        setup_ns: waits.setup_ns,
        gap_ns: waits.gap_ns,
        cpu_ns: waits.cpu_ns,
        cpu_wait_ns: 0,
        slot_wait_ns: i64::from(waits.has_waited),
    }
}

/// Random trees. Calls always go to a station with a greater number, so that requests that keep their slots never wait for each
/// other.
pub struct Forest {
    pub random: Random,
    /// Number of stations.
    pub stations: u32,
    /// Maximum number of calls of one visit.
    pub calls_max: u64,
    /// The unit of all times. If it is 1, many times are equal. If it is a million, hardly any are.
    pub unit: u64,
    /// Whether the trees have not only plain calls, but also quorums, retries, timeouts, messages, failures, work after the
    /// answer, answers before the end, and wake-ups.
    pub has_all: bool,
    /// Whether each answer waits for all earlier calls.
    pub answers_wait: bool,
}

impl Forest {
    /// A forest with all of these, in which times are often equal.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            stations: 0,
            calls_max: 5,
            unit: 1,
            has_all: true,
            answers_wait: false,
        }
    }

    fn time(&mut self, bound: u64) -> i64 {
        (self.random.below(bound) * self.unit + self.random.below(self.unit)) as i64
    }

    /// Whether a tree gets a feature that not all loads have.
    fn has(&mut self, once_in: u64) -> bool {
        self.has_all && self.random.once_in(once_in)
    }

    /// A visit. Its calls are nested up to `depth` levels.
    fn tree(&mut self, instance: u32, depth: u32) -> Tree {
        let calls = self.random.below(self.calls_max + 1) as usize;
        let late = match self.has(3) {
            true => self.random.below(calls as u64 + 1) as usize,
            false => 0,
        };
        let in_time = calls - late;
        let mut tree = Tree {
            instance,
            setup_ns: self.time(3),
            has_waited: !self.has(3),
            waited: if self.has(9) {
                Waited::Refused
            } else {
                Waited::Recorded
            },
            fails: match self.random.below(4) {
                0 if self.has_all => Fails::Always,
                1 if self.has_all => Fails::WithCalls,
                _ => Fails::Never,
            },
            ..Tree::default()
        };
        for place in 0..calls {
            let is_late = place >= in_time;
            let mut branch = self.branch(instance, depth);
            branch.waits = self.waits(place);
            branch.is_after_answer = is_late;
            let first = if is_late { in_time } else { 0 };
            if place > first && self.has(4) {
                let attempt = first + self.random.below((place - first) as u64) as usize;
                branch.retry_of = Some(attempt);
                if !branch.waits.after.contains(&attempt) {
                    branch.waits.after.push(attempt);
                }
            }
            if self.has_all {
                branch.early_ns = self.random.below(branch.waits.gap_ns as u64 + 1) as u32;
            }
            tree.calls.push(branch);
        }
        tree.answer = self.waits(in_time);
        if self.answers_wait {
            tree.answer.after = (0..in_time).collect();
        }
        tree
    }

    /// Waits for some of `calls` calls.
    fn waits(&mut self, calls: usize) -> Waits {
        let mut waits = Waits {
            after: (0..calls).filter(|_| self.random.once_in(3)).collect(),
            gap_ns: self.time(10),
            ..Waits::default()
        };
        if self.has_all {
            waits.setup_ns = self.random.below(3) as u32;
            waits.has_waited = self.random.once_in(2);
        }
        if self.has(3) {
            waits.any_of = (0..calls).filter(|_| self.random.once_in(2)).collect();
            if !waits.any_of.is_empty() {
                waits.need = 1 + self.random.below(waits.any_of.len() as u64) as usize;
            }
        }
        waits
    }

    /// A call that does not wait for another one yet.
    fn branch(&mut self, instance: u32, depth: u32) -> Branch {
        let callee = instance + 1 + self.random.below(2) as u32;
        let lasts_ns = 1 + self.time(6);
        let mut branch = Branch {
            is_failed: self.has(3),
            fails_visit: self.has(2),
            ..Branch::lasting(lasts_ns)
        };
        if depth == 0 || callee >= self.stations || self.random.once_in(4) {
            return branch;
        }
        branch.callees.push(self.tree(callee, depth - 1));
        if self.has(6) {
            let sibling = self.tree(callee, depth - 1);
            let delay_ns = self.time(5);
            branch.callees.push(Tree { delay_ns, ..sibling });
        }
        if self.has(6) {
            branch.is_message = true;
            branch.callees[0].delay_ns = self.time(5);
            return branch;
        }
        branch.out_ns = self.time(3);
        branch.back_ns = self.time(3);
        branch.ends = match self.has(4) {
            true => Ends::Timeout(self.time(30)),
            false => Ends::Answer,
        };
        if branch.ends == Ends::Answer && self.has(4) {
            branch.ahead_ns = self.time(8);
        }
        branch
    }
}

/// Random roots at the first two of these stations.
pub fn random_load(forest: &mut Forest, stations: &[Station], roots: u64) -> Load {
    forest.stations = stations.len() as u32;
    let mut load = empty(stations);
    let mut at_ns = 0;
    for _ in 0..roots {
        at_ns += forest.time(25);
        let instance = forest.random.below(2) as u32;
        let tree = forest.tree(instance, 3);
        add_root(&mut load, at_ns, &tree);
    }
    load
}
