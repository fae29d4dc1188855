//! [`continue_after_answer`]: executes calls of an invocation that are still in progress at its answer, or start after it. These
//! calls need no slot.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::execution::Execution;
use super::mailbox::Parked;
use super::shared::{StandIn, Unfinished};
use super::step::Step;

/// An invocation whose answer has been sent.
struct Afterwards {
    stand_in: Arc<StandIn>,
    execution: Execution,
    _counted: Unfinished,
}

/// Continues an invocation with calls that are left after its answer. It runs on another thread, so that it does not delay the
/// answer.
pub fn continue_after_answer(stand_in: Arc<StandIn>, execution: Execution) {
    if execution.engine.is_done() {
        return;
    }
    match stand_in.enter_afterwards() {
        Some(counted) => {
            let runtime = stand_in.calls.runtime().clone();
            let afterwards = Box::new(Afterwards {
                stand_in,
                execution,
                _counted: counted,
            });
            runtime.spawn(async move { afterwards.advance() });
        }
        None => _ = stand_in.counters.dropped.fetch_add(1, Ordering::Relaxed),
    }
}

impl Parked for Afterwards {
    fn advance(mut self: Box<Self>) {
        self.execution.take_answers();
        loop {
            let now_ns = self.stand_in.service.clock.now_ns();
            // The plan has no CPU time after the answer, so the engine can assume that all of it is used.
            match self.execution.engine.next(now_ns, u64::MAX) {
                Step::Wait { until_ns, .. } => {
                    let (stand_in, mailbox) = (self.stand_in.clone(), self.execution.mailbox.clone());
                    return stand_in.park(&mailbox, self, until_ns);
                }
                Step::Done | Step::Answer { .. } | Step::Burn { .. } => return,
                step => self.execution.perform(step, now_ns),
            }
        }
    }
}
