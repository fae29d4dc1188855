//! [`Recorded`]: the rows of a run, connected. It states which request caused which, with times and results.
//!
//! A row of an invocation has these times:
//!
//! - `queue_time_ms - wakeup_ms` is the wait for a slot.
//! - `wakeup_ms` is the time until the slot's thread runs. The slot is occupied during this time.
//! - `slot_wait_ms` is the wait for another slot after a call. It includes a wake-up, which no field states separately.
//! - The rest is own time and time of calls; [`plan`](crate::plan) divides it.
//!
//! If an instance does not report its queue, its own time includes the waits, and its slots count as unlimited.
//!
//! - [`model`]: the types; [`names`], [`texts`]: tables that assign numbers to names and texts; [`notes`]: problems in the
//!   rows.
//! - [`rows`]: the fields that matter; [`collect`]: collects rows; [`inventory`]: slots and queue limits of the instances.
//! - [`link`]: connects calls and invocations. [`error`]: reasons why a run cannot be read.

mod collect;
mod error;
mod inventory;
mod link;
mod model;
mod names;
mod notes;
mod rows;
mod texts;

pub use collect::{Collector, TooMany};
pub use error::{NoInvocations, WorkError};
pub use inventory::stations;
pub use model::{
    Arrival, CALLS_MAX, Call, CallFacts, INVOCATIONS_MAX, InvocationFacts, NONE, Recorded, Waited, What, Work,
};
pub use names::{Endpoint, Instance, Names, Station};
pub use notes::{Notes, counted};
pub use rows::{CallRow, InvocationRow};
pub use texts::{Label, Texts};
