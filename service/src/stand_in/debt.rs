//! [`Debt`]: CPU time that requests have used beyond their plans, and that later ones save.

use std::sync::atomic::{AtomicI64, Ordering};

/// A request saves at most this part of its planned CPU time, so that each stays close to its plan.
const SHARE: u64 = 50;
/// Maximum error of one request that counts. A larger one is no cost of executing plans: the thread was interrupted, say.
const ERROR_NS_MAX: i64 = 500_000;
/// Maximum debt. More can never be saved: the plans have less CPU time than their execution costs.
const DEBT_NS_MAX: i64 = 10_000_000;

/// The sum of recent errors, ns. The expected cost of a call is exact on average; but a call that costs more uses CPU beyond the plan,
/// and one that costs less does not make up for it, because the rest is used after it.
#[derive(Debug, Default)]
pub struct Debt {
    ns: AtomicI64,
}

impl Debt {
    /// What a request with so much planned CPU time saves.
    pub fn share(&self, planned_ns: u64) -> u64 {
        let debt_ns = u64::try_from(self.ns.load(Ordering::Relaxed)).unwrap_or(0);
        debt_ns.min(planned_ns / SHARE)
    }

    /// Counts what a request has used above or below its plan.
    pub fn settle(&self, used_ns: u64, planned_ns: u64) {
        let error_ns = i64::try_from(i128::from(used_ns) - i128::from(planned_ns)).unwrap_or(i64::MAX);
        if error_ns.unsigned_abs() <= ERROR_NS_MAX.unsigned_abs() {
            let add = |ns: i64| Some((ns + error_ns).clamp(-DEBT_NS_MAX, DEBT_NS_MAX));
            // It always stores a value: `add` never returns None.
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
        assert_eq!(debt.share(1_000_000), 20_000);
        debt.settle(980_000, 1_000_000);
        assert_eq!(debt.share(1_000_000), 10_000);
        debt.settle(990_000, 1_000_000);
        assert_eq!(debt.share(1_000_000), 0);
        // Two at once have saved the same debt; the next error pays it back.
        debt.settle(990_000, 1_000_000);
        debt.settle(30_000, 20_000);
        assert_eq!(debt.share(1_000_000), 0);
    }

    #[test]
    fn an_interrupted_request_is_no_debt_and_a_debt_has_a_maximum() {
        let debt = Debt::default();
        debt.settle(5_000_000, 1_000_000);
        assert_eq!(debt.share(u64::MAX), 0);
        (0..100).for_each(|_| debt.settle(500_000, 0));
        assert_eq!(debt.share(u64::MAX), DEBT_NS_MAX.unsigned_abs());
    }
}
