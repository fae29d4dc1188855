//! What the io loop gives up: requests under way or waiting for a connection, after their time.

use super::IoLoop;
use crate::exchange::Failure;

impl IoLoop {
    /// Gives up what has taken too long, and after an interrupt what its time of grace has not ended.
    pub(super) fn give_up_overdue(&mut self, now_ns: u64) {
        let cut_off = self.cut_off_ns.is_some_and(|cut_off_ns| now_ns >= cut_off_ns);
        let overdue = |since_ns: u64| cut_off || now_ns.saturating_sub(since_ns) > self.config.timeout_ns;
        let busy = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.busy_since_ns().is_some_and(overdue));
        let tokens: Vec<usize> = busy.map(|(token, _)| *token).collect();
        let waiting = self
            .pending
            .iter()
            .take_while(|pending| overdue(pending.request.intended_ns))
            .count();
        let failure = if cut_off {
            Failure::Interrupted
        } else {
            Failure::Timeout
        };
        for token in tokens {
            self.on_dead(token, failure);
        }
        for _ in 0..waiting {
            self.fail_first_pending(if cut_off {
                Failure::Interrupted
            } else {
                Failure::NoConnection
            });
        }
    }

    /// Gives up the request that has waited longest for a connection.
    pub(super) fn fail_first_pending(&mut self, failure: Failure) {
        if let Some(pending) = self.pending.pop_front() {
            self.outbox.end_unsent(pending, failure);
        }
    }
}
