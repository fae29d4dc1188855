//! [`learn`]: updates the expected costs of executing plans with the measured costs of one request.

use super::execution::Execution;
use super::shared::{EXCESS_NS_MAX, FINISH_NS_MAX, StandIn};
use crate::meter::Reading;
use crate::telemetry::server_span::Times;

/// Maximum CPU time above the plan of a request from which the time for ending a request is learnt. With more, the request ended
/// late because of its CPU time. Smaller differences are measurement errors.
const OVERRUN_NS: u64 = 4_000;

/// Measurements of a finished request.
pub struct Observed {
    /// CPU time in total.
    pub used_ns: u64,
    /// CPU time that was used as planned work, not as a cost of the execution.
    pub burnt_ns: u64,
    /// CPU time that the request saved, because earlier requests had used too much.
    pub saved_ns: u64,
    /// Whether CPU time was used in the last gap, which ends with the answer. This gap makes the request's total exact.
    pub is_exact: bool,
    /// Whether the request stayed on one slot. For others, the CPU time on earlier slots is unknown.
    pub had_one_slot: bool,
    /// Own time without waits for a CPU.
    pub own_ns: u64,
    pub end_ns: u64,
}

/// Updates the expected costs.
pub fn learn(stand_in: &StandIn, execution: &Execution, observed: &Observed) {
    let engine = &execution.engine;
    if execution.calls_started > 0 && observed.had_one_slot {
        let others_ns = observed.burnt_ns + execution.decoding_cpu_ns + stand_in.tail.get();
        let costs_ns = observed.used_ns.saturating_sub(others_ns);
        let calls = execution.calls_started as f64;
        stand_in
            .call
            .add(execution.bytes_of_calls as f64 / calls, costs_ns as f64 / calls);
    }
    let longer_ns = observed.own_ns.abs_diff(engine.planned_own_ns());
    if execution.calls_started > 0 && observed.had_one_slot && longer_ns <= EXCESS_NS_MAX {
        let excess_ns = execution.expected_excess_ns + observed.own_ns;
        stand_in
            .excess
            .add(excess_ns.saturating_sub(engine.planned_own_ns()));
    }
    // If a gap still needs CPU time, its planned CPU time is not in the planned sum yet.
    if !engine.is_burning() {
        let planned_ns = engine.planned_cpu_ns();
        stand_in.debt.settle(observed.used_ns, planned_ns);
        if observed.is_exact {
            let tail_ns = stand_in.tail.get() + observed.used_ns + observed.saved_ns;
            stand_in.tail.add(tail_ns.saturating_sub(planned_ns));
        }
    }
    let is_overrun = observed.used_ns > engine.planned_cpu_ns().saturating_add(OVERRUN_NS);
    if let Some(due_ns) = engine.answer_due_ns()
        && !is_overrun
    {
        let took_ns = observed.end_ns.saturating_sub(due_ns);
        if took_ns <= FINISH_NS_MAX {
            stand_in.finish.add(took_ns);
        }
    }
}

/// Own time without waits for a CPU.
pub fn own_ns(times: &Times, enqueue_ns: u64, used: Reading) -> u64 {
    let service_ns = times.end_ns.saturating_sub(times.start_ns.unwrap_or(enqueue_ns));
    service_ns
        .saturating_sub(times.downstream_ns)
        .saturating_sub(used.wait_ns)
}
