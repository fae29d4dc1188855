//! The journal: records in order, with the time at which each came. Everything the pipeline knows comes through here.

mod clock;
mod queue;
mod record;

pub use clock::{Clock, wall_clock};
pub use queue::{Accepted, AppendError, Held, Journal, QueueLimits, Reader, TICK_INTERVAL, open};
pub use record::{Content, Record, Signal};
