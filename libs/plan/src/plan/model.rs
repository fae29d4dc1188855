//! [`Tree`]: a root with its arrival, and the invocations that it causes: own work, calls, and what each call waits for.

use cctf_proto::cctf::{SpanId, SpanKind, TraceId};

use crate::work::What;

/// Maximum number of invocations of one root. A trace of 10,000 spans fits. A reader needs at most this many objects at once.
pub const INVOCATIONS_PER_ROOT_MAX: usize = 16_384;
/// Maximum depth of calls below a root, so that a reader can descend recursively.
pub const DEPTH_MAX: u32 = 64;
/// Maximum number of calls of one invocation. What each waits for takes time in proportion to the square of it.
pub const CALLS_PER_INVOCATION_MAX: usize = 1_024;
/// Maximum number of calls for which one call waits. More end before a call only where a hundred calls overlap.
pub const WAITS_PER_CALL_MAX: usize = 64;

/// A request, message or job from outside, with everything that it causes. All durations are nanoseconds.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Arrival at its module, nanoseconds since the Unix epoch.
    pub at_ns: i64,
    pub trace_id: TraceId,
    /// Span id of the root: of the call from outside, else of the invocation.
    pub span_id: SpanId,
    /// Recorded time of the call from outside beyond the invocation's response. 0 without a row of that call.
    pub client_net_ns: i64,
    /// False if its caller is missing in the recording.
    pub is_root: bool,
    /// The first one is the root's. Each one comes after its caller.
    pub invocations: Vec<Invocation>,
}

/// One request, message or job of an instance, without the waits that have to come again.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Its index in the recorded work.
    pub work: u32,
    /// Index of its instance in the names.
    pub instance: u32,
    /// Index of its endpoint in the names.
    pub endpoint: u32,
    pub kind: SpanKind,
    pub cpu: Cpu,
    /// Own time between its calls that is not CPU time: sleeps, disks, locks.
    pub other_ns: i64,
    /// CPU time that does not fit between its calls. It runs beside them and delays nothing.
    pub beside_cpu_ns: i64,
    pub bytes_in: Option<u32>,
    pub bytes_out: Option<u32>,
    pub status: Option<i32>,
    /// Index of its error's class in the texts.
    pub error: Option<u32>,
    pub is_failed: bool,
    /// Its failed calls, if a full queue or a timeout made one of them fail, directly or further down: it fails only if one of these
    /// calls fails again.
    pub fails_with: Vec<u32>,
    /// A full queue refused it. Its work is the mean of its endpoint, and its recorded status is not part of the plan.
    pub is_refused: bool,
    /// In the order of their recorded start.
    pub calls: Vec<Call>,
    /// What its answer waits for, and the own work before that.
    pub answer: Wait,
    pub recorded: RecordedTimes,
    /// Where the plan differs from the recording.
    pub deviation: Option<Deviation>,
}

/// The CPU time of one invocation, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cpu {
    #[default]
    Unknown,
    /// Of this request alone.
    Measured(i64),
    /// Its part of the mean of its endpoint by regression, in proportion to its own time, and at most that.
    Regressed(i64),
}

impl Cpu {
    pub fn ns(self) -> Option<i64> {
        match self {
            Self::Unknown => None,
            Self::Measured(ns) | Self::Regressed(ns) => Some(ns),
        }
    }
}

/// What a call, or the answer, waits for. Indices are those of calls of the same invocation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wait {
    /// All of these must have ended. Empty: the invocation's start.
    pub after: Vec<u32>,
    /// Of these, `need` must have ended.
    pub any_of: Vec<u32>,
    pub need: u32,
    /// Own time after that, which includes `cpu_ns`.
    pub gap_ns: i64,
    /// Own CPU time in the gap. A part of a gap that an earlier call's gap has, too, counts there.
    pub cpu_ns: i64,
    /// Recorded waits for slots and for CPUs between these ends and the gap's end, beside the gap. They are not part of the plan.
    pub slot_wait_ns: i64,
    pub cpu_wait_ns: i64,
}

/// When a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// When the invocation that it caused has answered.
    Answer,
    /// After this time: nobody with telemetry answers it (a database), it is a message, or it is a sleep without a slot.
    Duration(i64),
    /// With the answer or after this time, whichever is earlier: its caller gave up.
    Timeout(i64),
}

/// One call of an invocation.
#[derive(Debug, Clone)]
pub struct Call {
    pub wait: Wait,
    /// It starts after the answer, holds no slot, and delays nobody.
    pub is_after_answer: bool,
    pub what: What,
    /// Index of its receiver, method and path in the texts.
    pub label: Option<u32>,
    /// The invocations that it causes; the first one answers.
    pub callees: Vec<Callee>,
    pub ends: Ends,
    /// The earlier attempt: this call is sent only if that one failed.
    pub retry_of: Option<u32>,
    pub bytes_out: Option<u32>,
    pub bytes_in: Option<u32>,
    pub status: Option<i32>,
    pub error: Option<u32>,
    pub is_failed: bool,
    /// Recorded time beyond the answering invocation's response. Negative if the answer came before the end of the invocation.
    pub net_ns: Option<i64>,
    /// Recorded duration.
    pub recorded_ns: i64,
    /// Recorded end, nanoseconds since the Unix epoch.
    pub recorded_end_ns: i64,
}

/// An invocation that a call causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Callee {
    /// Index in [`Tree::invocations`].
    pub invocation: u32,
    /// For a message, from the end of the call to the arrival: the broker's delay. For further invocations of a request, from the
    /// arrival of the first one.
    pub delay_ns: i64,
}

/// Recorded times of an invocation, for comparison. Nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordedTimes {
    pub response_ns: i64,
    /// Queue time; `None` if the source reports none, so that waits are in its own time.
    pub queue_ns: Option<i64>,
    /// Waits for further slots.
    pub slot_wait_ns: i64,
    pub cpu_wait_ns: i64,
}

/// Why an invocation's recorded response does not follow from its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deviation {
    pub reason: Reason,
    /// Response by the plan, with recorded waits put back, minus the recorded one. Nanoseconds.
    pub ns: i64,
}

/// A contradiction in the rows of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A call starts before the invocation or before the end of a call for which it waits.
    NegativeGap,
    /// Its CPU time is longer than its service time.
    CpuAboveOwnTime,
    /// Its waits for slots are longer than its own time.
    WaitAboveOwnTime,
    /// The row has no valid duration.
    NoDuration,
    /// None of these: a fault of the plan.
    Unexplained,
}

impl Reason {
    pub const ALL: [Self; 5] = [
        Self::NegativeGap,
        Self::CpuAboveOwnTime,
        Self::WaitAboveOwnTime,
        Self::NoDuration,
        Self::Unexplained,
    ];

    /// Its name in the files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NegativeGap => "negative_gap",
            Self::CpuAboveOwnTime => "cpu_above_own_time",
            Self::WaitAboveOwnTime => "wait_above_own_time",
            Self::NoDuration => "no_duration",
            Self::Unexplained => "unexplained",
        }
    }
}
