//! [`Tree`]: a trace with its calls and invocations, and the caller of each.

use super::calls::{Call, Interval};
use super::names::NameId;

/// The caller of a call or of a rebuilt invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Somebody outside of the trace.
    Outside,
    /// An invocation: that of a call, or a rebuilt one behind the last call.
    Invocation(usize),
    /// One of the invocations in the trace, unknown which.
    Unknown,
}

/// An invocation without a row. Calls below its id show that it took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// Index of the rpc id of the call that caused it.
    pub id: usize,
    pub module: NameId,
    pub instance: NameId,
    /// From the first to the last of its calls.
    pub interval: Interval,
    pub caller: Caller,
}

/// Number of inferences in a trace, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inferred {
    /// Calls whose caller follows from names or times.
    pub callers: u64,
    /// Calls with several possible callers, or none.
    pub unknown_callers: u64,
    /// Entries whose rpc id shows that they had callers, of which the trace has no row.
    pub entries: u64,
    /// Names that follow from other rows.
    pub modules: u64,
}

pub struct Tree {
    pub calls: Vec<Call>,
    /// The caller of each call.
    pub callers: Vec<Caller>,
    pub rebuilt: Vec<Rebuilt>,
    /// Whether each invocation, first those of the calls, has made a call.
    pub has_calls: Vec<bool>,
    pub inferred: Inferred,
}
