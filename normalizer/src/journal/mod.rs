//! The journal: records in order, with the time at which each came. Everything the pipeline knows comes through here.

mod queue;
mod record;

pub use queue::{
    Accepted, AppendError, Clock, Held, Journal, QueueLimits, Reader, TICK_INTERVAL, open, wall_clock,
};
pub use record::{Content, Record, Signal};
