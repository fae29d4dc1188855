//! [`Chosen`]: the invocations and roots that are exported, with their first arrival and last end.

use foldhash::{HashMap, HashSet};
use plan::plan::{Plan, Tree};

use crate::counts::Counts;
use crate::job::Job;
use crate::source::Source;

/// The exported part of the plan.
#[derive(Debug, Default)]
pub struct Chosen {
    pub counts: Counts,
    /// Invocations as indices into the recorded work, in the order of their roots.
    pub works: Vec<u32>,
    /// The invocations that calls from outside caused, by the trace id and span id of the call.
    pub roots: HashMap<([u8; 16], [u8; 8]), u32>,
    /// Traces of the exported roots; `None` if all are exported.
    traces: Option<HashSet<[u8; 16]>>,
    pub first_ns: i64,
    pub last_ns: i64,
}

impl Chosen {
    /// Reads all exported roots once. This takes 4 bytes for each invocation, and 32 for each root.
    ///
    /// # Errors
    /// If the user stops the export.
    pub fn new(source: &Source<'_>, job: &mut Job<'_>) -> anyhow::Result<Self> {
        let mut chosen = Self {
            first_ns: i64::MAX,
            last_ns: i64::MIN,
            traces: source.is_part().then(HashSet::default),
            ..Self::default()
        };
        let total = source.roots();
        for (number, tree) in (1..).zip(source.trees()) {
            chosen.add(source.plan, &tree);
            chosen.counts.add_tree(source, &tree);
            job.advance(number, total)?;
        }
        Ok(chosen)
    }

    /// Whether a trace is exported.
    pub fn has_trace(&self, trace: &[u8; 16]) -> bool {
        self.traces.as_ref().is_none_or(|traces| traces.contains(trace))
    }

    fn add(&mut self, plan: &Plan, tree: &Tree) {
        if let Some(traces) = &mut self.traces {
            traces.insert(tree.trace_id.0);
        }
        for (index, invocation) in tree.invocations.iter().enumerate() {
            let work = &plan.recorded.works[invocation.work as usize];
            self.first_ns = self.first_ns.min(work.enqueue_ns);
            self.last_ns = self.last_ns.max(work.end_ns());
            self.works.push(invocation.work);
            if index == 0 && tree.is_root && tree.span_id != work.span_id {
                let call = (tree.trace_id.0, tree.span_id.0);
                self.roots.insert(call, invocation.work);
            }
        }
    }
}
