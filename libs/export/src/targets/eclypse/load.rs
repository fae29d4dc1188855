//! [`Load`]: CPU time and own time of each instance, and the traffic between instances.

use foldhash::HashMap;

use crate::counts::Counts;
use crate::job::Job;
use crate::source::Source;

/// Sums over the exported roots and everything that they cause.
#[derive(Debug, Default)]
pub struct Load {
    pub counts: Counts,
    /// Indexed by the number of the instance.
    pub instances: Vec<InstanceLoad>,
    /// Calling and called instance, in the order of their first call.
    pub calls: Vec<((u32, u32), CallLoad)>,
    first_ns: i64,
    last_ns: i64,
}

/// Sums over the invocations of one instance.
#[derive(Debug, Clone, Copy, Default)]
pub struct InstanceLoad {
    pub invocations: u64,
    pub cpu_ns: i64,
    /// Own time, without waits.
    pub own_ns: i64,
}

/// Sums over the calls from one instance to another.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallLoad {
    /// Bytes of the bodies that the called invocations received.
    pub bytes: u64,
}

impl Load {
    pub fn new(source: &Source<'_>, job: &mut Job<'_>) -> anyhow::Result<Self> {
        let recorded = &source.plan.recorded;
        let mut load = Self {
            instances: vec![InstanceLoad::default(); recorded.names.instances.len()],
            first_ns: i64::MAX,
            last_ns: i64::MIN,
            ..Self::default()
        };
        let mut places: HashMap<(u32, u32), usize> = HashMap::default();
        let roots = source.roots();
        for (number, tree) in (1..).zip(source.trees()) {
            load.counts.add_tree(source, &tree);
            for invocation in &tree.invocations {
                let work = &recorded.works[invocation.work as usize];
                load.first_ns = load.first_ns.min(work.enqueue_ns);
                load.last_ns = load.last_ns.max(work.end_ns());
                let cpu_ns = invocation.cpu.ns().unwrap_or(0);
                let instance = &mut load.instances[invocation.instance as usize];
                instance.invocations += 1;
                instance.cpu_ns += cpu_ns;
                instance.own_ns += cpu_ns - invocation.beside_cpu_ns + invocation.other_ns;
                for callee in invocation.calls.iter().flat_map(|call| &call.callees) {
                    let callee = &tree.invocations[callee.invocation as usize];
                    let pair = (invocation.instance, callee.instance);
                    let place = *places.entry(pair).or_insert_with(|| {
                        load.calls.push((pair, CallLoad::default()));
                        load.calls.len() - 1
                    });
                    let facts = &recorded.works[callee.work as usize].facts;
                    let sum = &mut load.calls[place].1;
                    sum.bytes += u64::from(facts.bytes_in.unwrap_or(0));
                }
            }
            job.advance(number, roots)?;
        }
        Ok(load)
    }

    /// Time from the first arrival to the last end, at least a microsecond, so that rates are finite.
    pub fn seconds(&self) -> f64 {
        (self.last_ns - self.first_ns).max(1_000) as f64 / 1e9
    }
}

impl InstanceLoad {
    /// Mean own time of an invocation, ms.
    pub fn own_ms(&self) -> f64 {
        self.own_ns as f64 / 1e6 / self.invocations.max(1) as f64
    }
}
