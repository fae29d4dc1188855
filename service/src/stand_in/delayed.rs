//! [`Delayed`]: a request that is sent at its time, also if its invocation waits for a slot then.

use std::sync::Arc;

use super::calls::Outgoing;
use super::mailbox::Parked;
use super::shared::{StandIn, Unfinished};

/// A request for which no call waits.
pub struct Delayed {
    pub stand_in: Arc<StandIn>,
    pub outgoing: Outgoing,
    pub due_ns: u64,
    /// The service stops after it is sent.
    pub counted: Unfinished,
}

impl Parked for Delayed {
    fn advance(self: Box<Self>) {
        let (stand_in, due_ns) = (self.stand_in.clone(), self.due_ns);
        if stand_in.service.clock.now_ns() < due_ns {
            return stand_in.park(&Arc::default(), self, Some(due_ns));
        }
        // The counters have it if it cannot be sent.
        let _ = stand_in.calls.send(self.outgoing, None);
    }
}
