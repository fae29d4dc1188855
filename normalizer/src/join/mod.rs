//! The join: finds the invocation that caused a span, and the call that reached it. It does no I/O: its inputs are spans and
//! times, and its outputs are outcomes.
//!
//! Every span enters the table once. It waits on its parent until the nearest invocation of the parent is known. Then the span,
//! and all spans that wait on it, are resolved. The work for a span does not depend on the depth of the trace, and a chain of
//! spans is processed with a list instead of recursion.

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
