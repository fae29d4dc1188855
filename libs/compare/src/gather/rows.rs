//! [`Invocation`] and [`Call`]: compact rows, with numbers for names, and times in nanoseconds.

use cctf_proto::cctf::{SpanId, TraceId};
use plan::roots::Clues;

/// Stands for a time or size that is missing in the row.
pub const UNKNOWN: i64 = i64::MIN;
/// An index that means "none".
pub const NONE: u32 = u32::MAX;

/// A known time or size.
pub fn known(value: i64) -> Option<i64> {
    (value != UNKNOWN).then_some(value)
}

/// The result of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Outcome {
    /// The row reports neither a status nor an error.
    #[default]
    Silent,
    Status(i32),
    /// The number of a text: an error class, or a status that is not numeric.
    Text(u32),
    /// The number of an error class for a missing answer, such as a timeout or a broken connection.
    NoAnswer(u32),
}

/// An invocation.
#[derive(Debug, Clone, Copy)]
pub struct Invocation {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// The parent invocation.
    pub parent: Option<SpanId>,
    /// The parent span, which can be a call. `None` for a message from outside.
    pub parent_span: Option<SpanId>,
    /// The call that caused it, if the row names it.
    pub caller: Option<SpanId>,
    /// Whether the request came from outside: no recorded invocation or call caused it.
    pub is_root: bool,
    /// Whether the recording lacks its caller.
    pub is_orphan: bool,
    /// The facts that decide whether a replay can repeat it.
    pub clues: Clues,
    pub module: u32,
    pub node: u32,
    pub instance: u32,
    /// Method and route.
    pub endpoint: u32,
    pub outcome: Outcome,
    /// Whether its status or error is a failure.
    pub is_failed: bool,
    pub enqueue_ns: i64,
    pub end_ns: i64,
    /// Queue time without the wake-up.
    pub wait_ns: i64,
    pub service_ns: i64,
    pub response_ns: i64,
    pub cpu_ns: i64,
    pub downstream_ns: i64,
    pub slot_wait_ns: i64,
    /// Part of the queue time in which a slot was free.
    pub wakeup_ns: i64,
    pub cpu_wait_ns: i64,
    pub net_ns: i64,
    pub bytes_in: i64,
    pub bytes_out: i64,
}

impl Invocation {
    /// The wake-up time, if the source reports queue times.
    pub fn known_wakeup_ns(&self) -> i64 {
        if self.wait_ns == UNKNOWN {
            UNKNOWN
        } else {
            self.wakeup_ns
        }
    }
}

/// A call.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// The invocation that made the call.
    pub ancestor: Option<SpanId>,
    /// Whether the call has neither a parent invocation nor any parent span.
    pub is_root: bool,
    /// The parent span, which can be internal.
    pub parent_span: Option<SpanId>,
    /// The outer call, if this call has no parent invocation. Then the outer call is the logical request, and this call is one
    /// attempt.
    pub outer: Option<SpanId>,
    /// The facts that decide whether a replay can repeat the call. For a root, they include the facts of its answer.
    pub clues: Clues,
    /// Whether the call is a message, so that the sender does not wait.
    pub is_message: bool,
    /// Whether the call has no row and was inferred from its invocation.
    pub is_inferred: bool,
    /// The calling module and its node, or [`NONE`].
    pub module: u32,
    pub node: u32,
    /// The module that the call reached, or the peer if no module is known.
    pub peer: u32,
    /// Method and path.
    pub endpoint: u32,
    pub outcome: Outcome,
    /// Whether its status or error is a failure.
    pub is_failed: bool,
    /// Number of earlier attempts.
    pub resends: u32,
    pub start_ns: i64,
    pub end_ns: i64,
    pub lateness_ns: i64,
    /// Index into [`Rows::originals`], or [`NONE`].
    pub original: u32,
}

impl Call {
    pub fn duration_ns(&self) -> i64 {
        self.end_ns.saturating_sub(self.start_ns).max(0)
    }
}

/// Ids of a request: the ids of its call or, if the call was not recorded, of its invocation.
pub type RootId = (TraceId, SpanId);

/// All rows of a run.
#[derive(Debug, Default)]
pub struct Rows {
    pub invocations: Vec<Invocation>,
    pub calls: Vec<Call>,
    /// The recorded requests that the calls of a replay repeat.
    pub originals: Vec<RootId>,
    /// Number of damaged lines.
    pub damaged: u64,
    /// Number of calls with a negative lateness, which counts as 0.
    pub early: u64,
    /// Number of rows that represent several requests.
    pub sampled: u64,
}
