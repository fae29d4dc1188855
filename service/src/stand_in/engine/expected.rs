//! The expected costs of executing a plan, and the planned and used own time of an execution so far.

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

    /// Sets the time by which the invocation's own time is expected to be longer than planned. The first gaps end earlier by this
    /// time, so the own time is right in total.
    pub fn expect_excess(&mut self, excess_ns: u64) {
        let (answer, nodes) = (self.answer(), &mut self.nodes);
        let has_calls = nodes[answer].open > 0 || nodes[answer].need > 0;
        let first = nodes.iter_mut().filter(|node| node.open == 0 && node.need == 0);
        if has_calls {
            first.for_each(|node| node.gap_ns = node.gap_ns.saturating_sub(excess_ns));
        }
    }

    /// Planned own time of the invocation so far: the time in which a gap was in progress, and the CPU time beside calls.
    pub fn planned_own_ns(&self) -> u64 {
        self.gaps_ns.saturating_add(self.beside_used_ns)
    }

    /// CPU time of the gaps before the answer that have not ended.
    pub fn future_cpu_ns(&self) -> u64 {
        self.future_cpu_ns
    }

    /// Expected cost (CPU time) of executing the calls before the answer that have not ended.
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

    /// Adds the planned time of a gap that begins now, except the time in which another gap is in progress, too.
    pub(super) fn count_gap(&mut self, index: usize) {
        let node = &self.nodes[index];
        let end_ns = node.base_ns.saturating_add(node.planned_gap_ns);
        let begin_ns = node.base_ns.max(self.gaps_until_ns);
        if !self.is_answered && end_ns > begin_ns {
            self.gaps_ns += end_ns - begin_ns;
            self.gaps_until_ns = end_ns;
        }
    }

    /// At the end of a wait for calls, counts CPU time that was used beyond the planned gaps as CPU time beside calls, at most
    /// the planned amount.
    pub(super) fn count_beside(&mut self, cpu_ns: u64) {
        if self.was_idle && !self.is_idle() {
            self.was_idle = false;
            let used_ns = cpu_ns.saturating_sub(self.planned_cpu_ns).min(self.beside_cpu_ns);
            self.planned_cpu_ns += used_ns;
            self.beside_cpu_ns -= used_ns;
            self.beside_used_ns += used_ns;
        }
    }
}
