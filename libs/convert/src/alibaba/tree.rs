//! [`Tree`]: a trace with its calls and invocations, and the caller of each.

use super::calls::{Call, Interval};
use super::names::NameId;

/// The caller of a call or of a rebuilt invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A caller outside of the trace.
    Outside,
    /// An invocation, by its index: first come the invocations of all calls, then the rebuilt ones.
    Invocation(usize),
    /// An invocation in the trace, but it is unknown which one.
    Unknown,
}

/// An invocation without a row. Calls below its id show that it took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rebuilt {
    /// Index of the rpc id of the call that caused it.
    pub id: usize,
    pub module: NameId,
    pub instance: NameId,
    /// The time from the begin of its first call to the end of its last one.
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
    /// Entries whose rpc id shows that they had callers, although the trace has no row of them.
    pub entries: u64,
    /// Names of modules that were taken from other rows.
    pub modules: u64,
}

pub struct Tree {
    pub calls: Vec<Call>,
    /// The caller of each call.
    pub callers: Vec<Caller>,
    pub rebuilt: Vec<Rebuilt>,
    /// Whether each invocation has made a call: first the invocations of all calls, then the rebuilt ones.
    pub has_calls: Vec<bool>,
    pub inferred: Inferred,
}
