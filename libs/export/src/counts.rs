//! [`Counts`]: what an export contains, summed over its roots.

use plan::plan::{Cpu, Tree, What};
use serde::Serialize;

use crate::source::Source;

/// Counts of exported roots with everything below them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    pub roots: u64,
    pub invocations: u64,
    /// Rows of calls of these invocations. A plan has further calls: sleeps, and those that are inferred.
    pub calls: u64,
    /// Of these calls, messages.
    pub messages: u64,
    /// Bodies that the invocations received and sent, bytes. A row without a size counts as 0.
    pub bytes_in: u64,
    pub bytes_out: u64,
    #[serde(skip)]
    pub assumed: Assumed,
}

/// Counts behind the assumptions of an export.
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
    /// Adds a root with everything below it.
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
