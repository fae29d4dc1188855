//! [`Recorded`]: the rows of a run, connected: who caused whom, when, and with which result.
//!
//! Of the times in a row,
//!
//! - `queue_time_ms - wakeup_ms` is the wait for a slot,
//! - `wakeup_ms` is a set-up time of the slot, which is occupied meanwhile,
//! - `slot_wait_ms` is the wait for another slot after a call, with its set-up time, which no field has,
//! - the rest is own time and time of calls, which [`plan`](crate::plan) divides.
//!
//! An instance that reports no queue has its waits in its own time, and unlimited slots.
//!
//! - [`model`]: the types; [`names`], [`texts`]: names and texts by number; [`notes`]: what the rows leave out.
//! - [`rows`]: the fields of rows that matter; [`collect`]: what is kept of them; [`inventory`]: the stations of the instances.
//! - [`link`]: who called whom. [`error`]: a run whose rows cannot be read.

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
