//! [`Paired`]: pairs of invocations and of calls by module, in order of time. The voters of paired runs use them.

use std::collections::BTreeMap;

use crate::gather::{Names, Side};
use crate::margins::Margins;
use crate::pairing::{Pairs, receiver};

/// Simulated times of a run, which follow from its own arrivals, services and slots.
#[derive(Debug, Clone, Default)]
pub struct Simulated {
    /// Wait of each invocation, nanoseconds; [`crate::gather::UNKNOWN`] if it was not simulated.
    pub waits: Vec<i64>,
    /// For each call: the part of its response time that consists of waits. It is known only for roots.
    pub response_waits: Vec<i64>,
}

/// Two paired runs, as input of the voters.
pub struct Paired<'s> {
    pub a: &'s Side,
    pub b: &'s Side,
    pub names: &'s Names,
    pub margins: &'s Margins,
    pub pairs: &'s Pairs,
    /// Pairs of invocations of each module, in the order of A's arrivals.
    pub by_module: BTreeMap<u32, Vec<(u32, u32)>>,
    /// Pairs of calls by the module that they reach, in the order of A's starts.
    pub by_receiver: BTreeMap<u32, Vec<(u32, u32)>>,
    pub simulated: Option<&'s [Simulated; 2]>,
}

impl<'s> Paired<'s> {
    pub fn new(
        sides: &'s [Side; 2],
        names: &'s Names,
        margins: &'s Margins,
        pairs: &'s Pairs,
        simulated: Option<&'s [Simulated; 2]>,
    ) -> Self {
        let [a, b] = sides;
        let mut by_module: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
        for &(of_a, of_b) in &pairs.invocations {
            // Both invocations have the same module, because calls are matched by module.
            let module = a.rows.invocations[of_a as usize].module;
            by_module.entry(module).or_default().push((of_a, of_b));
        }
        let arrival = |pair: &(u32, u32)| (a.rows.invocations[pair.0 as usize].enqueue_ns, pair.0);
        for pairs in by_module.values_mut() {
            pairs.sort_by_key(arrival);
        }
        let mut by_receiver: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
        for &pair in &pairs.calls {
            by_receiver.entry(receiver(a, pair.0)).or_default().push(pair);
        }
        for calls in by_receiver.values_mut() {
            calls.sort_by_key(|pair| (a.rows.calls[pair.0 as usize].start_ns, pair.0));
        }
        Self {
            a,
            b,
            names,
            margins,
            pairs,
            by_module,
            by_receiver,
            simulated,
        }
    }
}
