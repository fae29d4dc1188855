//! [`Debt`]: the CPU time that requests used beyond their plans. Later requests use less than planned, until the sum is right.

use std::sync::atomic::{AtomicI64, Ordering};

/// A request saves at most its planned CPU time divided by this number, so that it stays close to its plan.
const SHARE: u64 = 50;
/// A request with calls can save more: up to the expected cost of its calls, divided by this number. The real cost of calls can
/// differ from the expected cost by about as much.
const SHARE_OF_COSTS: u64 = 2;
/// Maximum deviation of one request, nanoseconds. A larger deviation has another reason than the cost of executing plans, such
/// as an interruption.
const ERROR_NS_MAX: i64 = 500_000;
/// Maximum debt, nanoseconds. A debt of this size means that plans have less CPU time than their execution costs. Later requests
/// cannot save a larger debt anyway.
const DEBT_NS_MAX: i64 = 10_000_000;

/// The sum of recent deviations, nanoseconds. The expected cost of a call is correct on average, but its errors do not cancel
/// out. If a call costs more than expected, the request uses more CPU time than planned. If it costs less, the request uses the
/// difference as planned work, so it saves nothing.
#[derive(Debug, Default)]
pub struct Debt {
    ns: AtomicI64,
}

impl Debt {
    /// CPU time that a request with this planned CPU time saves, if its calls are expected to cost `costs_ns`.
    pub fn share(&self, planned_ns: u64, costs_ns: u64) -> u64 {
        let debt_ns = u64::try_from(self.ns.load(Ordering::Relaxed)).unwrap_or(0);
        let share_ns = (planned_ns / SHARE).max(costs_ns / SHARE_OF_COSTS);
        debt_ns.min(share_ns).min(planned_ns)
    }

    /// Adds the difference between used and planned CPU time of a finished request.
    pub fn settle(&self, used_ns: u64, planned_ns: u64) {
        let error_ns = i64::try_from(i128::from(used_ns) - i128::from(planned_ns)).unwrap_or(i64::MAX);
        if error_ns.unsigned_abs() <= ERROR_NS_MAX.unsigned_abs() {
            let add = |ns: i64| Some((ns + error_ns).clamp(-DEBT_NS_MAX, DEBT_NS_MAX));
            // The result is ignored, because the closure never returns `None`, so the update always succeeds.
            let _ = self.ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_requests_save_what_one_has_used_too_much() {
        let debt = Debt::default();
        debt.settle(130_000, 100_000);
        assert_eq!(debt.share(1_000_000, 0), 20_000);
        // A request with calls saves more than two per cent, because the cost of calls is less certain.
        assert_eq!(debt.share(1_000_000, 50_000), 25_000);
        assert_eq!(debt.share(1_000_000, 500_000), 30_000);
        assert_eq!(debt.share(10_000, 500_000), 10_000);
        debt.settle(980_000, 1_000_000);
        assert_eq!(debt.share(1_000_000, 0), 10_000);
        debt.settle(990_000, 1_000_000);
        assert_eq!(debt.share(1_000_000, 0), 0);
        // Two requests at the same time can save the same debt twice. The next deviation corrects this.
        debt.settle(990_000, 1_000_000);
        debt.settle(30_000, 20_000);
        assert_eq!(debt.share(1_000_000, 0), 0);
    }

    #[test]
    fn an_interrupted_request_is_no_debt_and_a_debt_has_a_maximum() {
        let debt = Debt::default();
        debt.settle(5_000_000, 1_000_000);
        assert_eq!(debt.share(u64::MAX, 0), 0);
        (0..100).for_each(|_| debt.settle(500_000, 0));
        assert_eq!(debt.share(u64::MAX, 0), DEBT_NS_MAX.unsigned_abs());
    }
}
