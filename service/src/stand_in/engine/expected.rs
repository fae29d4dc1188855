//! What executing a plan is expected to cost, and what a finished execution has used.

use super::Engine;

impl Engine {
    /// States what executing a call before the answer is expected to cost.
    pub fn expect_cost(&mut self, call: usize, cost_ns: u64) {
        self.nodes[call].cost_ns = cost_ns;
        self.open_costs_ns = self.open_costs_ns.saturating_add(cost_ns);
    }

    /// The answer's gap ends earlier by the time that ending the request is expected to take, so that the request ends in time.
    pub fn expect_finish(&mut self, finish_ns: u64) {
        let answer = self.answer();
        self.nodes[answer].gap_ns = self.nodes[answer].gap_ns.saturating_sub(finish_ns);
    }

    /// CPU time of its gaps before the answer.
    pub fn future_cpu_ns(&self) -> u64 {
        self.future_cpu_ns
    }

    /// CPU time beside calls that was used.
    pub fn beside_used_ns(&self) -> u64 {
        self.beside_used_ns
    }

    /// The time at which the answer's gap was over, if it is.
    pub fn answer_due_ns(&self) -> Option<u64> {
        self.answer_due_ns
    }
}
