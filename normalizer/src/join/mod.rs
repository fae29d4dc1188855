//! The join: which invocation caused a span, and which call reached it. Pure: spans and time go in, outcomes come out.
//!
//! Every span enters the table once and hangs on its parent until the parent's own nearest invocation is known; then it
//! and all that hang on it are settled. Each span is touched a bounded number of times whatever the depth of its trace,
//! and a chain is walked by a list, never by recursion.

mod entries;
mod entry;
mod index;
mod memory;
mod table;

pub use entry::{Arrival, Caller, Departed, Outcome, Role, Settled};
pub use memory::{large_vec, prefetch};
pub use table::JoinTable;
