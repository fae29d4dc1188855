//! Synthetic runs of a chain of two modules. The simulator itself computes their recorded times.

use cctf_proto::cctf::{SpanId, TraceId};
use plan::plan::Ends;
use plan::stations::{Arrival, Call, Fails, Load, Visit, Wait, simulate};
use plan::work::{NONE, Station, Waited};

/// A run. Times are means, nanoseconds.
#[derive(Clone, Copy)]
pub struct Chain {
    pub seed: u64,
    pub count: usize,
    pub gap_ns: f64,
    pub front_ns: f64,
    pub back_ns: f64,
    pub way_ns: i64,
    pub back: &'static str,
    pub back_slots: u32,
    /// Number of instances of `back`.
    pub instances: u32,
    /// Relative noise of all times. It does not depend on the other random numbers of the seed.
    pub noise: f64,
}

impl Default for Chain {
    fn default() -> Self {
        Self {
            seed: 1,
            count: 6_000,
            gap_ns: 2_000_000.0,
            front_ns: 200_000.0,
            back_ns: 1_200_000.0,
            way_ns: 100_000,
            back: "back",
            back_slots: 2,
            instances: 1,
            noise: 0.0,
        }
    }
}

/// Numbers that a seed determines (SplitMix64, Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    /// A number from 0 (included) to 1 (excluded).
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -(1.0 - self.uniform()).ln() * mean
    }
}

fn span(index: usize) -> SpanId {
    SpanId::from_bytes(&(index as u64 + 1).to_be_bytes()).unwrap()
}

impl Chain {
    /// The recorded run. The invocations of request `i` are `2 i` and `2 i + 1`.
    pub fn run(self) -> Load {
        let (mut random, mut noise) = (Random(self.seed), Random(self.seed ^ 0xabcd));
        let mut noisy = |ns: f64| (ns * (1.0 + self.noise * (noise.uniform() - 0.5))) as i64;
        let mut load = Load::default();
        let front = load.names.module("front");
        let back = load.names.module(self.back);
        let at_front = load.names.instance(front, "f", "n1");
        load.names.instances[at_front as usize].station = slots(8);
        let at_back: Vec<u32> = (0..self.instances)
            .map(|number| load.names.instance(back, &format!("b{number}"), "n2"))
            .collect();
        for &instance in &at_back {
            load.names.instances[instance as usize].station = slots(self.back_slots);
        }
        let endpoints = [front, back].map(|module| load.names.endpoint(module, Some("GET"), Some("/")));
        let mut at = 0.0;
        for index in 0..self.count {
            at += random.exponential(self.gap_ns);
            let (own, below) = (
                random.exponential(self.front_ns),
                random.exponential(self.back_ns),
            );
            let first_call = load.calls.len() as u32;
            let at_ns = at as i64 + noisy(1_000.0);
            load.arrivals.push(Arrival {
                visit: 2 * index as u32,
                at_ns,
                out_ns: noisy(50_000.0),
                back_ns: 50_000,
                bytes_in: 0,
                bytes_out: 0,
                span_id: span(2 * index),
                is_root: true,
            });
            // The answer waits for the call.
            load.waits_for.push(first_call);
            load.calls.push(Call {
                wait: own_time(noisy(own)),
                out_ns: noisy(self.way_ns as f64),
                back_ns: self.way_ns,
                callee: 2 * index as u32 + 1,
                visit: 2 * index as u32,
                ..call()
            });
            let instance = at_back[index % at_back.len()];
            load.visits.push(Visit {
                calls: 1,
                first_call,
                answer: Wait {
                    first: first_call,
                    after: 1,
                    ..own_time(noisy(20_000.0))
                },
                ..visit(2 * index, at_front, endpoints[0])
            });
            load.visits.push(Visit {
                caller: first_call,
                first_call: first_call + 1,
                answer: own_time(noisy(below)),
                ..visit(2 * index + 1, instance, endpoints[1])
            });
        }
        record(load)
    }
}

fn slots(slots: u32) -> Station {
    Station {
        slots: Some(slots),
        ..Station::default()
    }
}

fn own_time(gap_ns: i64) -> Wait {
    Wait {
        gap_ns,
        ..Wait::default()
    }
}

fn call() -> Call {
    Call {
        wait: Wait::default(),
        out_ns: 0,
        back_ns: 0,
        ahead_ns: 0,
        ends: Ends::Answer,
        visit: 0,
        callee: NONE,
        retry_of: NONE,
        early_ns: 0,
        bytes_out: 0,
        bytes_in: 0,
        is_after_answer: false,
        is_message: false,
        is_failed: false,
        fails_visit: false,
    }
}

fn visit(index: usize, instance: u32, endpoint: u32) -> Visit {
    Visit {
        trace_id: TraceId::from_bytes(&[1; 16]).unwrap(),
        span_id: span(index),
        enqueue_ns: 0,
        wait_ns: 0,
        setup_ns: 0,
        slot_wait_ns: 0,
        response_ns: 0,
        beside_cpu_ns: 0,
        delay_ns: 0,
        first_call: 0,
        calls: 0,
        caller: NONE,
        sibling: NONE,
        instance,
        endpoint,
        waited: Waited::Recorded,
        fails: Fails::Never,
        answer: Wait::default(),
    }
}

/// Sets the recorded times to those that the simulator computes.
pub fn record(mut load: Load) -> Load {
    let outcomes = simulate(&load);
    for (visit, outcome) in load.visits.iter_mut().zip(outcomes) {
        visit.enqueue_ns = outcome.enqueue_ns;
        visit.wait_ns = outcome.wait_ns;
        visit.slot_wait_ns = outcome.slot_wait_ns;
        visit.response_ns = outcome.response_ns();
    }
    load
}

/// Pairs each visit with the visit at the same position.
pub fn identity(load: &Load) -> Vec<(u32, u32)> {
    (0..load.visits.len() as u32)
        .map(|index| (index, index))
        .collect()
}
