//! [`Works`]: what each invocation of a recorded run asks of its station: own time, calls, and what each call waits for.
//!
//! Waits are not part of the work, because they come again when it is done again. Of the times in a row,
//!
//! - `queue_time_ms - wakeup_ms` is the wait for a slot,
//! - `wakeup_ms` is a set-up time of the slot, which is occupied meanwhile,
//! - `slot_wait_ms` is the wait for another slot after a call, and its set-up time, which no field has and [`handover`] infers,
//! - the rest is own time and time of calls. `cpu_wait_ms` is part of the own time: the slot is occupied, and a station
//!   has no model of the CPUs behind it.
//!
//! An instance that reports no queue has its waits in its own time, and unlimited slots.
//!
//! - [`model`]: the types; [`names`]: names by number; [`notes`]: what the rows leave out.
//! - [`rows`]: the fields of rows that matter; [`collect`]: what is kept of them; [`inventory`]: the stations of the instances.
//! - [`link`]: who called whom; [`segments`]: own times and waits of calls.
//! - [`error`]: a run whose work cannot be read. [`own_time`]: own times of refused requests; [`handover`]: when slots were released for calls.

mod collect;
mod error;
mod handover;
mod inventory;
mod link;
mod model;
mod names;
mod notes;
mod own_time;
mod rows;
mod segments;

pub use collect::{Collector, TooMany};
pub use error::WorkError;
pub use inventory::stations;
pub use model::{Arrival, CALLS_MAX, Call, Ending, INVOCATIONS_MAX, NONE, Place, Waited, Work, Works};
pub use names::{Endpoint, Instance, Names, Station};
pub use notes::{Notes, counted};
pub use rows::{CallRow, InvocationRow};
