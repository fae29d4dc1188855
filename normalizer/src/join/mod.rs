//! The join: which invocation caused a span, and which call reached it. Pure: spans and time go in, outcomes come out.
//!
//! Every span enters the table once. It waits on its parent until the parent's own nearest invocation is known; then the
//! span and all that wait on it are resolved. The depth of a trace does not change the work per span, and a chain is walked
//! by a list, never by recursion.

mod entries;
mod entry;
mod ids;
mod index;
mod memory;
mod outcome;
mod table;

pub use ids::{EntryId, PendingId, RowRef};
pub use memory::{large_vec, prefetch};
pub use outcome::{Arrival, Caller, Evicted, Joined, Outcome, Resolved, Role};
pub use table::JoinTable;
