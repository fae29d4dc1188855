//! [`ByRoot`]: finds the tree of a root in a plan, by the ids of the root.

use cctf_proto::cctf::{SpanId, TraceId};
use foldhash::{HashMap, HashMapExt as _};
use plan::plan::{Plan, Tree};
use plan::roots::Root;

/// A plan, and a table from each root's ids to the number of its arrival. The table takes 40 bytes for each root.
#[derive(Debug)]
pub struct ByRoot {
    pub plan: Plan,
    numbers: HashMap<(TraceId, SpanId), u32>,
}

impl ByRoot {
    pub fn new(plan: Plan) -> Self {
        let recorded = &plan.recorded;
        let mut numbers = HashMap::with_capacity(recorded.arrivals.len());
        for (number, arrival) in (0..).zip(&recorded.arrivals) {
            let trace_id = recorded.works[arrival.work as usize].trace_id;
            // Several invocations can answer one call. The root's invocation is the one that was joined with the call.
            match arrival.is_root {
                true => _ = numbers.insert((trace_id, arrival.span_id), number),
                false => _ = numbers.entry((trace_id, arrival.span_id)).or_insert(number),
            }
        }
        Self { plan, numbers }
    }

    /// Number of roots, including orphans.
    pub fn len(&self) -> usize {
        self.plan.recorded.arrivals.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of a root's tree; `None` if no invocation in the plan answered the root.
    pub fn find(&self, root: &Root) -> Option<u32> {
        self.numbers.get(&(root.trace_id, root.span_id)).copied()
    }

    pub fn tree(&self, number: u32) -> Tree {
        self.plan.tree(&self.plan.recorded.arrivals[number as usize])
    }

    /// Module and id of an instance.
    pub fn instance(&self, number: u32) -> (&str, &str) {
        let names = self.plan.recorded.names();
        let instance = &names.instances[number as usize];
        (&names.modules[instance.module as usize], &instance.id)
    }
}
