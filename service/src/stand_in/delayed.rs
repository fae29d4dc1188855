//! [`Delayed`]: a request that is sent at its time, even if its invocation waits for a slot at that time.

use std::sync::Arc;

use super::calls::Outgoing;
use super::mailbox::Parked;
use super::shared::{StandIn, Unfinished};

/// A request whose answer no call waits for.
pub struct Delayed {
    pub stand_in: Arc<StandIn>,
    pub outgoing: Outgoing,
    pub due_ns: u64,
    /// Delays the stop of the service until the request is sent.
    pub counted: Unfinished,
}

impl Parked for Delayed {
    fn advance(self: Box<Self>) {
        let (stand_in, due_ns) = (self.stand_in.clone(), self.due_ns);
        if stand_in.service.clock.now_ns() < due_ns {
            return stand_in.park(&Arc::default(), self, Some(due_ns));
        }
        // If the request cannot be sent, the counters record it.
        let _ = stand_in.calls.send(self.outgoing, None);
    }
}
