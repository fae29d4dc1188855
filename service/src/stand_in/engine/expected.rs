//! The expected costs of executing a plan, and the CPU time that a finished execution used.

use super::Engine;

impl Engine {
    /// Sets the expected cost (CPU time) of executing a call before the answer.
    pub fn expect_cost(&mut self, call: usize, cost_ns: u64) {
        self.nodes[call].cost_ns = cost_ns;
        self.open_costs_ns = self.open_costs_ns.saturating_add(cost_ns);
    }

    /// Sets the time that ending the request is expected to take. The gap of the answer ends earlier by this time, so the
    /// request ends in time.
    pub fn expect_finish(&mut self, finish_ns: u64) {
        let answer = self.answer();
        self.nodes[answer].gap_ns = self.nodes[answer].gap_ns.saturating_sub(finish_ns);
    }

    /// CPU time of the gaps before the answer that have not ended.
    pub fn future_cpu_ns(&self) -> u64 {
        self.future_cpu_ns
    }

    /// What its calls that have not ended are expected to cost.
    pub fn open_costs_ns(&self) -> u64 {
        self.open_costs_ns
    }

    /// CPU time that was used beside calls, as planned.
    pub fn beside_used_ns(&self) -> u64 {
        self.beside_used_ns
    }

    /// The time at which the gap of the answer ended; `None` before.
    pub fn answer_due_ns(&self) -> Option<u64> {
        self.answer_due_ns
    }
}
