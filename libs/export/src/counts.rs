//! [`Counts`]: the contents of an export, counted over all of its roots.

use plan::plan::{Cpu, Tree, What};
use serde::Serialize;

use crate::source::Source;

/// Numbers of exported roots, and of everything that they cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    pub roots: u64,
    pub invocations: u64,
    /// Rows of calls that these invocations made. The plan also has calls without rows: sleeps and inferred calls.
    pub calls: u64,
    /// The number of messages among these calls.
    pub messages: u64,
    /// Total size of the bodies that the invocations received and sent, bytes. Unknown sizes count as 0.
    pub bytes_in: u64,
    pub bytes_out: u64,
    #[serde(skip)]
    pub assumed: Assumed,
}

/// Counts for the sentences about assumptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Assumed {
    pub orphans: u64,
    pub cpu_unknown: u64,
    pub cpu_regressed: u64,
    pub refused: u64,
    pub without_queue_time: u64,
    pub timeouts: u64,
    pub retries: u64,
    pub quorums: u64,
    pub late_calls: u64,
}

impl Counts {
    /// Adds a root and everything that it causes.
    pub fn add_tree(&mut self, source: &Source<'_>, tree: &Tree) {
        let recorded = &source.plan.recorded;
        self.roots += 1;
        self.assumed.orphans += u64::from(!tree.is_root);
        for invocation in &tree.invocations {
            let work = &recorded.works[invocation.work as usize];
            let facts = &work.facts;
            let assumed = &mut self.assumed;
            self.invocations += 1;
            self.bytes_in += u64::from(facts.bytes_in.unwrap_or(0));
            self.bytes_out += u64::from(facts.bytes_out.unwrap_or(0));
            match invocation.cpu {
                _ if invocation.is_refused => assumed.refused += 1,
                Cpu::Unknown => assumed.cpu_unknown += 1,
                Cpu::Regressed(_) => assumed.cpu_regressed += 1,
                Cpu::Measured(_) => {}
            }
            assumed.without_queue_time += u64::from(facts.queue_ns.is_none() && !invocation.is_refused);
            assumed.quorums += u64::from(invocation.answer.need > 0);
            for (call, row) in invocation.calls.iter().zip(&recorded.calls[work.calls()]) {
                self.calls += u64::from(source.has_row(row));
                self.messages += u64::from(call.what == What::Message);
                assumed.timeouts += u64::from(matches!(call.ends, plan::plan::Ends::Timeout(_)));
                assumed.retries += u64::from(call.retry_of.is_some());
                assumed.quorums += u64::from(call.wait.need > 0);
                assumed.late_calls += u64::from(call.is_after_answer);
            }
        }
    }
}
