//! [`Invocation`] and [`Call`]: rows with their names as numbers and their times in nanoseconds.

use cctf_proto::cctf::{SpanId, TraceId};
use plan::roots::Clues;

/// A time or size that the row does not state.
pub const UNKNOWN: i64 = i64::MIN;
/// An index that stands for none.
pub const NONE: u32 = u32::MAX;

/// A known time or size.
pub fn known(value: i64) -> Option<i64> {
    (value != UNKNOWN).then_some(value)
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Outcome {
    /// Nothing was reported.
    #[default]
    Silent,
    Status(i32),
    /// A name: the class of an error, or a status that is not a number.
    Text(u32),
    /// The name of an error for want of an answer: a timeout or a broken connection.
    NoAnswer(u32),
}

/// An invocation.
#[derive(Debug, Clone, Copy)]
pub struct Invocation {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// The invocation above.
    pub parent: Option<SpanId>,
    /// The span directly above it, which can be a call. `None` for a message from outside.
    pub parent_span: Option<SpanId>,
    /// The call that caused it, if the row names it.
    pub caller: Option<SpanId>,
    /// Whether no invocation and no call caused it: its request came from outside.
    pub is_root: bool,
    /// Whether its caller is missing.
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
    /// The invocation that made it.
    pub ancestor: Option<SpanId>,
    /// Whether it has neither an invocation nor a span above it.
    pub is_root: bool,
    /// The span directly above it, which can be internal.
    pub parent_span: Option<SpanId>,
    /// The call around it, if no invocation is above it: the logical request of an attempt.
    pub outer: Option<SpanId>,
    /// The facts that decide whether a replay can repeat it; of a root with those of its answer.
    pub clues: Clues,
    /// Whether the sender does not wait.
    pub is_message: bool,
    /// Whether it has no row: it stands for the cause of an invocation.
    pub is_inferred: bool,
    /// The calling module and its node, or [`NONE`].
    pub module: u32,
    pub node: u32,
    /// The module that it reached, or the peer.
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

/// Ids of a request: of its call, else of its invocation.
pub type RootId = (TraceId, SpanId);

/// All rows of a run.
#[derive(Debug, Default)]
pub struct Rows {
    pub invocations: Vec<Invocation>,
    pub calls: Vec<Call>,
    /// The recorded requests that calls replay.
    pub originals: Vec<RootId>,
    /// Damaged lines.
    pub damaged: u64,
    /// Calls with a negative lateness, which counts as 0.
    pub early: u64,
    /// Rows that stand for several requests.
    pub sampled: u64,
}
